#!/usr/bin/env bash
# Breaks the engine on purpose, one patch at a time, and sees that the suite finds each in the row that the patch names.
# A suite that stays green here would prove nothing, nor would one that is red anyway. Run by `make broken`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
export CARGO_TARGET_DIR=$target
work=$target/broken
tree=$work/tree
mkdir -p "$work"

row_of() { sed -n 's/^# row: //p' "$1"; }

# Without fuzz: a patch that is put somewhere else breaks something else.
apply() { patch --silent --force --fuzz=0 -p1 "${@:2}" <"$1"; }

# suite LOG: the short form of every row.
suite() { (cd "$root" && cargo test --quiet --features test-clock --test it -- --nocapture suite::every) >"$1" 2>&1; }

# in_table ROW LOG CONDITION: there is such a row in the table that the suite prints, `row …  tried  right`, and the condition holds of it.
in_table() {
    awk -v row="$1" 'index($0, row) == 1 && NF > 2 && $(NF - 1) ~ /^[0-9]+$/ && $NF ~ /^[0-9]+$/ { tried = $(NF - 1) + 0; right = $NF + 0; if ('"$3"') found = 1 } END { exit !found }' "$2"
}

wrong=0
# Before anything is built, which takes long.
for patch in "$root"/tests/broken/*.patch; do
    if [ -z "$(row_of "$patch")" ]; then
        echo "NO ROW: $(basename "$patch") names none (\`# row: …\`)" >&2
        wrong=1
    fi
    if ! apply "$patch" --dry-run -d "$root" >&2; then
        echo "DOES NOT APPLY: $(basename "$patch")" >&2
        wrong=1
    fi
done
[ "$wrong" = 0 ] || exit 1

echo "the engine as it is"
log=$work/unbroken.log
if ! (unset CORDON_RESPONDER && suite "$log"); then
    echo "RED ALREADY: the suite fails on the engine as it is; see $log" >&2
    exit 1
fi
for patch in "$root"/tests/broken/*.patch; do
    row=$(row_of "$patch")
    if ! in_table "$row" "$log" 'tried > 0 && right == tried'; then
        echo "NO SUCH ROW: \`$row\` of $(basename "$patch"); see $log" >&2
        exit 1
    fi
done

# A target folder of their own: in a shared one cargo would take a broken library for this tree's, because it names both alike. The first
# time the SDKs are compiled in it, which takes some minutes.
for patch in "$root"/tests/broken/*.patch; do
    name=$(basename "$patch" .patch)
    echo "building: $name"
    rm -rf "$tree"
    mkdir -p "$tree"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar c) | tar x --touch -C "$tree"
    apply "$patch" -d "$tree"
    (cd "$tree" && CARGO_TARGET_DIR=$work/target cargo build --quiet --features test-clock --bin responder)
    cp "$work/target/debug/responder" "$work/$name"
done

for patch in "$root"/tests/broken/*.patch; do
    name=$(basename "$patch" .patch)
    row=$(row_of "$patch")
    log=$work/$name.log
    if CORDON_RESPONDER=$work/$name suite "$log"; then
        echo "NOT FOUND: with $name the suite is green; see $log" >&2
        wrong=1
    elif in_table "$row" "$log" 'right < tried'; then
        echo "found: $name, in the row \`$row\`"
    else
        echo "NOT FOUND: $name should make the row \`$row\` fail; see $log" >&2
        wrong=1
    fi
done
exit $wrong
