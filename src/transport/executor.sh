# The remote end of a session, read by a POSIX sh (dash, bash in sh mode, busybox). It serves the requests on its standard
# input, one line of words each, until that ends. Words come as values: plain, or with octal escapes that only printf
# decodes. Commands never see the stream of requests, nor the descriptor that holds the lock of the host.

# Takes exactly $1 bytes of the requests: dd reads no further than it is told, where some head(1) do.
larder_take() {
  [ "$1" -eq 0 ] || dd bs="$1" count=1 iflag=fullblock 2>/dev/null
}

# The same for more bytes than should stand in memory at once.
larder_take_long() {
  if [ "$1" -ge 1048576 ]; then
    dd bs=1048576 count="$(($1 / 1048576))" iflag=fullblock 2>/dev/null || return
  fi
  larder_take "$(($1 % 1048576))"
}

# Runs a command of a plan. If we are gone, it writes to nobody, and must still run to its end.
larder_run() {
  trap '' PIPE
  "$@" 9>&-
}

# Opens the frame of request $1 on both streams.
larder_begin() {
  printf '\n%s begin %s\n' "$larder_nonce" "$1"
  printf '\n%s begin %s\n' "$larder_nonce" "$1" >&2
}

# Closes the frame of request $1; the other words say how it ended.
larder_end() {
  printf '\n%s end %s\n' "$larder_nonce" "$1" >&2
  printf '\n%s end %s\n' "$larder_nonce" "$*"
}

# Tells how far the command of a plan has come: $1 bytes of $2.
larder_progress() {
  printf '\n%s progress %s %s %s\n' "$larder_nonce" "$larder_id" "$1" "$2"
}

# Takes the lock file $1 for the holder $2, or says who holds it. The lock lasts as long as this shell, and as long as
# the shell around a command that is still running, whoever has gone in the meantime.
larder_lock() {
  command -v flock >/dev/null || return 3
  (: >>"$1") || return 3
  exec 9>>"$1"
  if flock -n 9; then
    printf '%s\n' "$2" >"$1"
    return
  fi
  exec 9>&-
  dd if="$1" bs=4096 count=1 2>/dev/null
  return 4
}

# Asks each mount whose storage is another machine or a program whether it answers, all at once, each in a process that can be
# killed. `larder_reach` is then what they said, a line each: STATUS ESCAPED_TARGET TEXT; `larder_dead` those that said nothing.
larder_look() {
  larder_reach=$(
    while read -r larder_word larder_word larder_word larder_word larder_target larder_rest; do
      larder_rest=${larder_rest#*- }
      case ${larder_rest%% *} in
      nfs | nfs4 | cifs | smb3 | fuse | fuse.* | ocfs2 | gfs2 | ceph | lustre | 9p | afs | autofs) ;;
      *) continue ;;
      esac
      {
        larder_text=$(timeout -s KILL 4 stat -f -- "$(printf '%b' "$larder_target")" 2>&1 >/dev/null)
        printf '%s %s %s\n' "$?" "$larder_target" "$larder_text"
      } </dev/null 9>&- &
    done </proc/self/mountinfo
    wait
  )
  larder_dead=
  [ -n "$larder_reach" ] || return 0
  while read -r larder_word larder_target larder_rest; do
    case $larder_word in 124 | 137) larder_dead="$larder_dead $larder_target" ;; esac
  done <<EOF
$larder_reach
EOF
}

# Whether one of the words is a path at or below a mount that does not answer: whoever looks there waits for it. The remote
# function `asks_the_kernel_only` may say of a question that it does not.
larder_would_hang() {
  ! command -v asks_the_kernel_only >/dev/null || ! asks_the_kernel_only "$1" || return 1
  for larder_word; do
    case $larder_word in /*) ;; *) continue ;; esac
    for larder_target in $larder_dead; do
      larder_target=$(printf '%b' "$larder_target")
      case $larder_word/ in "$larder_target"/*)
        printf '%s does not answer' "$larder_target"
        return 0
        ;;
      esac
    done
  done
  return 1
}

# What came before a command is for that command only.
larder_forget() {
  larder_stdin=
  larder_fed=
  larder_guards=0
  larder_asked=
  larder_changed=
}

# Asks one guard, which is to end with status $1 and say $2: else `larder_changed` and `larder_now` say what it does.
larder_guard() {
  larder_guards=$((larder_guards + 1))
  larder_status=$1
  larder_out=$2
  shift 2
  larder_now=$(
    [ -z "$larder_dead" ] || ! larder_would_hang "$@" || exit 124
    ("$@" 3>&- 4>&- 9>&-) </dev/null 2>/dev/null
    larder_status=$?
    printf x
    exit "$larder_status"
  )
  larder_is=$?
  larder_now=${larder_now%x}
  if [ "$larder_is" -ne "$larder_status" ] || [ "$larder_now" != "$larder_out" ]; then
    larder_changed="changed $larder_guards $larder_is"
  fi
}

# Calls the function $1 with the words that follow, decoded.
larder_decoded() {
  larder_call=$1
  shift
  case $* in
  *\\*)
    larder_left=$#
    while [ "$larder_left" -gt 0 ]; do
      larder_word=$1
      shift
      case $larder_word in
      \\) larder_word= ;;
      *\\*)
        larder_word=$(printf '%b' "$larder_word"; printf x)
        larder_word=${larder_word%x}
        ;;
      esac
      set -- "$@" "$larder_word"
      larder_left=$((larder_left - 1))
    done
    ;;
  esac
  "$larder_call" "$@"
}

# For a command that is uploaded to: whether all that guards it still holds, now that its bytes have come. If not, the request ends
# as if that had been so before; the command does nothing more and says nothing.
larder_still() {
  larder_guards=0
  while IFS= read -r larder_line; do
    [ -n "$larder_line" ] || continue
    larder_decoded larder_guard $larder_line
    if [ -n "$larder_changed" ]; then
      printf '%s' "$larder_now"
      printf '%s' "$larder_changed" >&3
      return 1
    fi
  done <<EOF
$larder_asked
EOF
}

# Serves one request.
larder_request() {
  larder_verb=$1
  shift
  case $larder_verb in
  # ask ID WORD...
  ask)
    larder_id=$1
    shift
    larder_begin "$larder_id"
    if [ -n "$larder_dead" ] && larder_would_hang "$@" >&2; then
      larder_end "$larder_id" silent
    else
      ("$@" 9>&-) </dev/null
      larder_end "$larder_id" exit $?
    fi
    ;;
  # look: what follows is asked only where it is answered.
  look) larder_look ;;
  # stdin LENGTH, and that many bytes: what the next command reads. Cut short, it must never be acted on, and what was
  # not taken must never be read as requests.
  stdin)
    larder_stdin=$(larder_take "$1"; printf x)
    [ "${#larder_stdin}" -eq "$(($1 + 1))" ] || exit 1
    larder_stdin=${larder_stdin%x}
    larder_fed=yes
    ;;
  # guard STATUS OUT WORD...: the next command runs only if these words still end and say so.
  guard)
    [ -z "$larder_changed" ] || return 0
    larder_asked="$larder_asked${larder_line#guard }
"
    larder_guard "$@"
    ;;
  # run ID WORD...
  run)
    larder_id=$1
    shift
    larder_begin "$larder_id"
    if [ -n "$larder_changed" ]; then
      printf '%s' "$larder_now"
      larder_end "$larder_id" "$larder_changed"
    elif [ -n "$larder_fed" ]; then
      printf '%s' "$larder_stdin" 2>/dev/null | (larder_run "$@")
      larder_end "$larder_id" exit $?
    else
      (larder_run "$@") </dev/null
      larder_end "$larder_id" exit $?
    fi
    larder_forget
    ;;
  # upload ID LENGTH WORD..., and that many bytes, which the command reads while they come. It must tell by itself when
  # they are cut short. What it leaves is dropped. If not all could be taken, the rest must never be read as requests.
  upload)
    larder_id=$1
    larder_length=$2
    shift 2
    larder_begin "$larder_id"
    if [ -n "$larder_changed" ]; then
      larder_take_long "$larder_length" >/dev/null || exit 1
      printf '%s' "$larder_now"
      larder_end "$larder_id" "$larder_changed"
    else
      # What the command finds changed at the end of the bytes is told beside what it says.
      {
        larder_changed=$(
          {
            (larder_take_long "$larder_length" || kill -9 "$$") 3>&- 4>&- | {
              (larder_run "$@") 4>&-
              larder_status=$?
              cat >/dev/null
              exit "$larder_status"
            }
          } 3>&1 >&4
        )
        larder_status=$?
      } 4>&1
      if [ -n "$larder_changed" ]; then
        larder_end "$larder_id" "$larder_changed"
      else
        larder_end "$larder_id" exit "$larder_status"
      fi
    fi
    larder_forget
    ;;
  # lock ID FILE HOLDER
  lock)
    larder_begin "$1"
    larder_lock "$2" "$3"
    larder_end "$1" exit $?
    ;;
  *) exit 1 ;;
  esac
}

larder_serve() {
  larder_forget
  while IFS= read -r larder_line; do
    larder_decoded larder_request $larder_line
  done
}

export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
export PATH
unset CDPATH
umask 022
set -f
# A working directory in a home or on a network mount would keep it from being unmounted.
cd /
larder_dead=
printf '\n%s ready\n' "$larder_nonce"
printf '\n%s ready\n' "$larder_nonce" >&2
larder_serve
exit 0
