# network_mounts: the mounts whose storage is another machine or a program, as they answered when this round of questions began:
# lines `STATUS ESCAPED_TARGET TEXT`, 124 or 137 for those that did not answer in time; then a line `end`.
[ -z "$larder_reach" ] || printf '%s\n' "$larder_reach"
echo end
