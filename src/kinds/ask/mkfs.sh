# format_device FSTYPE LABEL UUID DEVICE: formats a blank device; none of the programs is told to overwrite anything.
case $1 in
xfs) mkfs.xfs -q -L "$2" -m uuid="$3" "$4" ;;
ext4) mkfs.ext4 -q -L "$2" -U "$3" "$4" ;;
btrfs) mkfs.btrfs -q -L "$2" -U "$3" "$4" ;;
*) echo "larder formats no $1" >&2; return 1 ;;
esac && sync -- "$4"
