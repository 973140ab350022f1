# Becomes the first agent there is. $@: folders that one may have been brought into; none to look
# for no agent at all. Where there is none it prints the processor and ends with 72.
start() {
  ls -ldn "$at/." "$at/diyadm-agent" 2>/dev/null | guarded program || return 1
  exec "$at/diyadm-agent" relay
}

# Where the folder is mounted read-only nobody in this container can have changed it.
mounted() {
  while read -r _ _ _ _ on options _; do
    [ "$on" = /.diyadm ] || continue
    case $options in ro | ro,*) return 0 ;; esac
  done </proc/self/mountinfo
  return 1
}

if [ $# -gt 0 ]; then
  if [ -x /.diyadm/diyadm-agent ] && mounted; then exec /.diyadm/diyadm-agent relay; fi
  for f in /.diyadm /; do
    if [ -f "$f/diyadm-agent" ] && [ -r "$f" ]; then start 9<"$f"; fi
  done
fi
for d do
  if [ "$d" = '~' ]; then d=$HOME; fi
  [ -n "$d" ] || continue
  for f in "$d"/.diyadm*; do
    if [ -d "$f" ] && [ -r "$f" ]; then start 9<"$f"; fi
  done
done
uname -m >&2
exit 72
