# The node's first process: sh init.sh FOLDER HOME NAME KEPT... -- [SOURCE TARGET]...
#
# FOLDER is the node's own, and is seen at HOME; a SOURCE is in it and covers a TARGET of the host.
# Each KEPT is seen at its own path, whatever covers that.
set -eu
own=$1 home=$2
# /proc is still the host's: there this shell has the number that the host knows it by.
read -r pid rest < /proc/self/stat
mount --make-rshared /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
echo "$3" > /proc/sys/kernel/hostname
echo 1 > /proc/sys/net/ipv4/ip_forward
shift 3
while [ "$1" != -- ]; do
    mkdir -p "/run/kept$1"
    mount --bind "$1" "/run/kept$1"
    printf '%s\n' "$1" >> /run/kept.list
    shift
done
shift
own=/run/kept$own
while [ $# -gt 0 ]; do
    mount --bind "$own/$1" "$2"
    shift 2
done
while read -r kept; do
    mkdir -p "$kept"
    mount --bind "/run/kept$kept" "$kept"
done < /run/kept.list
mkdir "$home"
mount --bind "$own" "$home"
echo "$pid" > "$own/init.new"
mv "$own/init.new" "$own/init"
# A shell that waits reaps what is orphaned, as containerd's shims are.
while :; do sleep 86400; done
