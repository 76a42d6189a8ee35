# image_listing DIRECTORY COUNT: the files in a directory that are named like disk images, at most COUNT of them, each as
# NAME, STATUS and what image_facts says of it, all ended by NUL bytes; then `end LEFT OTHERS`: how many more there are, and how
# many files have other names. Without that line the listing is not whole.
cd -P -- "$1" || return 1
others=$(find . -mindepth 1 -maxdepth 1 -type f ! -name '*.qcow2' ! -name '*.raw' ! -name '*.img' -printf x) || return 1
set +f
told=0 left=0
for image in ./*.qcow2 ./.qcow2 ./.*.qcow2 ./*.raw ./.raw ./.*.raw ./*.img ./.img ./.*.img; do
    [ -e "$image" ] || [ -h "$image" ] || continue # a pattern that nothing matched, or a file that has gone
    if [ "$told" -ge "$2" ]; then
        left=$((left + 1))
        continue
    fi
    told=$((told + 1))
    facts=$(image_facts "$image")
    printf '%s\000%s\000%s\n\000' "${image#./}" "$?" "$facts"
done
printf 'end %s %s\n' "$left" "${#others}"
