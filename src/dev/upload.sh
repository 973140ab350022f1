# Takes an agent of $1 bytes and of the SHA-256 $2 from stdin into the first folder of the rest
# that a program can be run from, then becomes it. $3: a name that nobody can guess. Where $1 is 0 it
# only looks whether there is such a folder.
# Nobody else is to write to it; what it starts has the container's own mask again.
mask=$(umask)
umask 077
n=$1 sum=$2 name=$3 found=
shift 3

# Takes it into the folder that is open, which the path $1 leads to. Returns where no program can be
# run there.
take() {
  ls -ldn "$at/." 2>/dev/null | guarded || return 1
  # Some folders are writable and mounted noexec.
  {
    printf '#!/bin/sh\nexit 0\n' >"$at/try-$name" && chmod 700 "$at/try-$name" && "$at/try-$name"
  } 2>/dev/null
  runs=$?
  rm -f "$at/try-$name"
  [ "$runs" = 0 ] || return 1
  if [ "$n" = 0 ]; then found=1; return 1; fi
  new=$at/new-$name
  # Not until the end of input: what reads so can end before its last bytes are here.
  # Whatever fails, all of it is read: until then the end of this may not be told.
  head -c "$n" | { cat >"$new" || { cat >/dev/null; false; }; } || { rm -f "$new"; echo "diyadm: no room in $1" >&2; exit 73; }
  got=$(wc -c <"$new")
  [ "$got" -eq "$n" ] || { echo "diyadm: $got of $n bytes came" >&2; rm -f "$new"; exit 74; }
  if command -v sha256sum >/dev/null 2>&1; then
    got=$(sha256sum <"$new")
    [ "${got%% *}" = "$sum" ] || { echo "diyadm: wrong content came" >&2; rm -f "$new"; exit 74; }
  fi
  chmod 700 "$new" && mv -f "$new" "$at/diyadm-agent" || { rm -f "$new"; exit 74; }
  echo "diyadm: at $1/diyadm-agent" >&2
  umask "$mask"
  exec "$at/diyadm-agent" relay
}

for d do
  if [ "$d" = '~' ]; then d=$HOME; fi
  [ -n "$d" ] && [ -d "$d" ] && [ -z "$found" ] || continue
  for f in "$d"/.diyadm*; do
    if [ -d "$f" ] && [ -r "$f" ] && [ -w "$f" ]; then take "$f" 9<"$f"; fi
  done
  f=$d/.diyadm-$name
  if mkdir "$f" 2>/dev/null; then
    take "$f" 9<"$f"
    rmdir "$f"
  fi
done
[ -z "$found" ] || exit 0
head -c "$n" >/dev/null
echo "diyadm: no folder" >&2
exit 73
