# The folder that an agent is in is open as 9, so that it stays the one that was looked at, whatever
# its path leads to by then.
at=/proc/self/fd/9

# The user of this shell.
own=
while read -r key _ uid _; do
  if [ "$key" = Uid: ]; then own=$uid; fi
done </proc/self/status

# Reads a listing: whether it is of a folder and, where $1 is not empty, of a program in it, which
# nobody but this user and root could have put there or can change. A link, or a file with a second
# name, may be any program.
guarded() {
  kinds=
  while read -r mode links uid _; do
    case $uid in 0 | "$own") ;; *) return 1 ;; esac
    case $mode in
    ?????w* | ????????w*) return 1 ;;
    d*) kinds=${kinds}d ;;
    -*) if [ "$links" = 1 ]; then kinds=${kinds}f; else return 1; fi ;;
    *) return 1 ;;
    esac
  done
  case $kinds in d) [ -z "$1" ] ;; df | fd) [ -n "$1" ] ;; *) false ;; esac
}
