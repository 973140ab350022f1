# Becomes the first agent there is. $@: where one may be.
for f do
  case $f in '~'/*) f=$HOME/${f#'~'/} ;; esac
  # In a folder that is everybody's, only one's own file counts.
  case $f in /diyadm*|/.diyadm*) ;; *) [ -O "$f" ] || continue ;; esac
  if [ -f "$f" ] && [ -x "$f" ]; then exec "$f" agent; fi
done
echo "diyadm: no agent; $(uname -m)" >&2
exit 127
