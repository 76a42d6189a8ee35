# enable_o2cb: the service of the cluster stack starts at boot. What systemctl says of scripts of old is no trouble.
said=$(systemctl enable o2cb.service 2>&1) && [ "$(systemctl is-enabled o2cb.service 2>/dev/null)" = enabled ] || {
    printf '%s\n' "$said" >&2
    return 1
}
