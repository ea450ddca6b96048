#!/usr/bin/env bash
# Breaks the engine on purpose, one patch at a time, and sees that the suite finds each in the row that the patch names.
# A suite that stays green here would prove nothing. Run by `make broken`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
export CARGO_TARGET_DIR=$target
work=$target/broken
tree=$work/tree
mkdir -p "$work"

# A target folder of their own: in a shared one cargo would take a broken library for this tree's, because it names both alike. The first
# time the SDKs are compiled in it, which takes some minutes.
for patch in "$root"/tests/broken/*.patch; do
    name=$(basename "$patch" .patch)
    echo "building: $name"
    rm -rf "$tree"
    mkdir -p "$tree"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar c) | tar x --touch -C "$tree"
    patch --silent -d "$tree" -p1 <"$patch"
    (cd "$tree" && CARGO_TARGET_DIR=$work/target cargo build --quiet --features test-clock --bin responder)
    cp "$work/target/debug/responder" "$work/$name"
done

wrong=0
for patch in "$root"/tests/broken/*.patch; do
    name=$(basename "$patch" .patch)
    row=$(sed -n 's/^# row: //p' "$patch")
    log=$work/$name.log
    (cd "$root" && CORDON_RESPONDER=$work/$name cargo test --quiet --features test-clock --test it -- --nocapture suite::every >"$log" 2>&1) || true
    # `row …  tried  right`, from the table that the suite prints.
    if awk -v row="$row" 'index($0, row) == 1 && NF > 2 && $(NF - 1) ~ /^[0-9]+$/ && $NF ~ /^[0-9]+$/ && $NF < $(NF - 1) { found = 1 } END { exit !found }' "$log"; then
        echo "found: $name, in the row \`$row\`"
    else
        echo "NOT FOUND: $name should make the row \`$row\` fail; see $log" >&2
        wrong=1
    fi
done
exit $wrong
