# What a shell does for `sync` where there is no agent. $1: what; $2: the folder that is synced;
# $3: the name of the folder in it that holds what comes until all of it is known to be whole.
# It gives its last word by its exit status; 76 is another try's, what else is not 0 is final.
export LC_ALL=C
what=$1 root=$2 stage=$3
shift 3

die() {
  [ -z "$*" ] || echo "diyadm: $*" >&2
  rm -rf "./$stage"
  exit 74
}

into() {
  cd "$root" || exit 74
}

# Whatever fails, all of the input is read: until then the end of a command may not be told.
anew() {
  [ -d "./$stage" ] || (umask 077 && mkdir "./$stage")
}

# $1: 1 to make the folder; $2: the one file that is asked about, or nothing. $stage is what a try
# that was lost may have left.
# stdout: the tools there are, then what there is, each part with an end that no path can have.
look() {
  if [ "$1" = 1 ]; then
    mkdir -p "$root" || exit 74
  fi
  for tool in cat chmod cksum find head ln mkdir mv readlink rm rmdir sha256sum stat tar touch; do
    if command -v "$tool" >/dev/null 2>&1; then echo "$tool"; fi
  done
  echo //
  if [ -d "$root" ]; then
    into
    if [ "$1" = 1 ]; then rm -rf "./$stage"; fi
    if [ -n "$2" ]; then
      stat -c '%f %s %Y %n//' "./$2"
    else
      find . -exec stat -c '%f %s %Y %n//' {} +
      find . -type l -exec sh -c 'for l do echo "l $l//"; echo "$(readlink "$l")//"; done' sh {} +
    fi 2>/dev/null
  fi
  echo end//
}

# An archive of $1 bytes. Not until the end of input: what reads so can end before its last bytes
# are here.
archive() {
  head -c "$1" | {
    cd "$root" && anew && tar -C "./$stage" -xopf - || { cat >/dev/null; false; }
  } || { into; die; }
}

# All of the input into the file $1.
single() {
  (
    cd "$root" && anew && cat >"./$stage/$1" || { cat >/dev/null; false; }
  ) || { into; die; }
}

# $1: the tool that sums; $2 and $3: sum and length of the script that comes, which says the rest in
# the words below. A length of 0 is until the end of input.
finish() {
  tool=$1
  if [ "$3" = 0 ]; then cat; else head -c "$3"; fi | {
    cd "$root" && anew && cat >"./$stage/script" || { cat >/dev/null; false; }
  } || { into; die; }
  into
  # Below a mount a file would be copied into its place, and not renamed.
  here=$(pwd -P) mounts=
  case $here in *[\ \\]*) mounts=1 ;; esac
  while read -r _ _ _ _ at _; do
    case $at in "${here%/}"/?*) mounts=1 ;; esac
  done </proc/self/mountinfo || mounts=1
  whole "$2" script
  . "./$stage/script"
  rm -rf "./$stage"
  exit 0
}

# These files, one after the other, have this sum.
whole() {
  want=$1
  shift
  got=$(cd "./$stage" && cat "$@" | "$tool")
  case "$got " in
  "$want "*) ;;
  *)
    rm -rf "./$stage"
    exit 76
    ;;
  esac
}

# A folder is there, and no link to one.
folder() {
  if [ -h "$1" ]; then die "$1 is a symbolic link"; fi
  [ -d "$1" ] || mkdir "$1" || die
}

# What came as $1 takes the place of $2.
move() {
  if [ -h "$2" ]; then
    # Into what it leads to, otherwise.
    if [ -d "$2" ]; then rm -f "$2" || die; fi
  elif [ -d "$2" ]; then
    die "$2 is a folder"
  fi
  if [ -n "$mounts" ]; then
    beside=${2%/*}/.$1$stage
    mv -f "./$stage/$1" "$beside" && mv -f "$beside" "$2" || { rm -f "$beside"; die; }
  else
    mv -f "./$stage/$1" "$2" || die
  fi
}

# A link that says $2 takes the place of $3.
link() {
  ln -s -- "$2" "./$stage/$1" || die
  move "$1" "$3"
}

delete() {
  if [ -d "$1" ] && [ ! -h "$1" ]; then rmdir "$1" || die; else rm -f "$1" || die; fi
}

mode() {
  chmod "$@" || die
}

# As `touch -t` has it, in UTC.
stamp() {
  at=$1
  shift
  TZ=UTC0 touch -t "$at" "$@" || die
}

"$what" "$@"
