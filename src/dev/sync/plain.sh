# What a shell does for `sync` where there is no agent. $1: what; $2: the folder that is synced;
# $3: the name of the folder in it that holds what comes until all of it is known to be whole.
# It gives its last word by its exit status; 76 is another try's, what else is not 0 is final.
#
# Everything happens in the working directory, under a name alone: a folder whose path leads
# elsewhere by now stays the one that was entered.
export LC_ALL=C
what=$1 root=$2 stage=$3
shift 3

# The end, with this status.
leave() {
  cd -P "$here/" && [ "$PWD" = "${here:-/}" ] && rm -rf "./$stage"
  exit "$1"
}

die() {
  [ -z "$*" ] || echo "$*" >&2
  leave 74
}

# Enters the folder, whose physical path is $here from then on; without a slash at its end.
into() {
  cd -P "$root" || exit 74
  here=${PWD%/} entered=
}

# Enters the folder $1 below it, `/a/b`, or nothing for itself. A link on the way is not followed:
# where one has come meanwhile the physical path is another.
enter() {
  [ "$entered" = "$1/" ] && return
  entered=
  cd -P "$here$1/" || die
  [ "$PWD" = "$here$1" ] || [ -z "$here$1" ] || die "$1 leads out of the target folder"
  entered=$1/
}

# Enters the folder that $1, `/a/b`, is in; $name is its name there.
above() {
  name=./${1##*/}
  enter "${1%/*}"
}

# Enters the folder of what comes, and makes it.
anew() {
  into
  [ -d "./$stage" ] || (umask 077 && mkdir "./$stage") || return 1
  cd -P "./$stage" && [ "$PWD" = "$here/$stage" ]
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
  # As if it was a tool.
  if [ -d "$root" ]; then echo folder; fi
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

# Whatever fails, all of the input is read: until then the end of a command may not be told.
# An archive of $1 bytes. Not until the end of input: what reads so can end before its last bytes
# are here.
archive() {
  head -c "$1" | {
    anew && tar -xopf - || { cat >/dev/null; false; }
  } || { into; die; }
}

# The input into the file $1: $2 bytes, or, where that is nothing, all of it.
single() {
  if [ -n "$2" ]; then head -c "$2"; else cat; fi | {
    anew && cat >"./$1" || { cat >/dev/null; false; }
  } || { into; die; }
}

# $1: the tool that sums; $2 and $3: sum and length of the script that comes, which says the rest in
# the words below. A length of 0 is until the end of input.
finish() {
  tool=$1
  # Never in a file, which another could change before it is read again.
  script=$(if [ "$3" = 0 ]; then cat; else head -c "$3"; fi)
  into
  is "$2" "$(printf %s "$script" | "$tool")"
  # Below a mount a file would be copied into its place, and not renamed.
  mounts=
  case $here in *[\ \\]*) mounts=1 ;; esac
  while read -r _ _ _ _ at _; do
    case $at in "$here"/?*) mounts=1 ;; esac
  done </proc/self/mountinfo || mounts=1
  # A file never goes into a folder that has come in its target's place. Some tools cannot be told so.
  alone=
  if anew && : >./from && mv -T ./from ./to 2>/dev/null; then alone=-T; fi
  eval "$script"
  leave 0
}

# $1: a sum; $2: what the tool said.
is() {
  case "$2 " in
  "$1 "*) ;;
  *) leave 76 ;;
  esac
}

# These files, one after the other, have this sum.
whole() {
  want=$1
  shift
  enter "/$stage"
  is "$want" "$(cat "$@" | "$tool")"
}

# A folder is there, and no link to one.
folder() {
  above "$1"
  if [ -h "$name" ]; then die "$1 is a symbolic link"; fi
  [ -d "$name" ] || mkdir "$name" || die
}

# What came as $1 takes the place of $2.
move() {
  from=$1
  if [ -z "$alone" ]; then
    # In a folder it would have a name that nothing has.
    enter "/$stage"
    from=$stage.$1
    mv -f "./$1" "./$from" || die
  fi
  above "$2"
  if [ -h "$name" ]; then
    # Into what it leads to, otherwise.
    if [ -d "$name" ]; then rm -f "$name" || die; fi
  elif [ -d "$name" ]; then
    die "$2 is a folder"
  fi
  from=$here/$stage/$from
  if [ -n "$mounts" ]; then
    beside=./.$1$stage
    mv -f $alone "$from" "$beside" && mv -f $alone "$beside" "$name" || { rm -f "$beside"; die; }
  else
    mv -f $alone "$from" "$name" || die
  fi
}

# A link that says $2 takes the place of $3.
link() {
  enter "/$stage"
  ln -s -- "$2" "./$1" || die
  move "$1" "$3"
}

delete() {
  above "$1"
  if [ -d "$name" ] && [ ! -h "$name" ]; then rmdir "$name" || die; else rm -f "$name" || die; fi
}

# What could not be set is said on stdout, each path with an end that no path can have: some file
# systems keep no modes, and only its owner may set those of a file.

# The mode $1 of what came as $2 and goes to $3.
mode() {
  enter "/$stage"
  chmod "$1" "./$2" 2>/dev/null || echo "$3//"
}

# Its time, as `touch -t` has it, in UTC.
stamp() {
  enter "/$stage"
  TZ=UTC0 touch -t "$1" "./$2" 2>/dev/null || echo "$3//"
}

# Mode and time of what is at $3. A file is reached by a second name, which nobody can change.
settle() {
  above "$3"
  if [ -h "$name" ]; then
    die "$3 is a symbolic link"
  elif [ -d "$name" ]; then
    enter "$3"
    name=.
  elif ln "$name" "$here/$stage/settled" 2>/dev/null; then
    enter "/$stage"
    name=./settled
    [ -f "$name" ] && [ ! -h "$name" ] || die "$3 is no file any more"
  fi
  { chmod "$1" "$name" && TZ=UTC0 touch -t "$2" "$name"; } 2>/dev/null || echo "$3//"
  if [ "$name" = ./settled ]; then rm -f "$name"; fi
}

"$what" "$@"
