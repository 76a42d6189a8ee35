# canary_see USER DIRECTORY NAME DRAWN WITNESS SOURCE: whether USER sees the file that the host WITNESS wrote. Clients may know of it late, so
# it is looked for a few times.
tries=0
until seen=$(runuser -u "$1" -- cat -- "$2/$3.$4" 2>&1) && [ "$seen" = "$4" ]; do
    tries=$((tries + 1))
    if [ "$tries" -ge 5 ]; then
        printf '%s\n' "$seen" >&2
        echo "not-shared: $6 is another storage here than on $5: the file that $5 has just written into $2 is not to be seen here. Compare what the name of the server leads to on both (getent hosts)." >&2
        return 1
    fi
    sleep 1
done
