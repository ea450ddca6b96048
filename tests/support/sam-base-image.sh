#!/usr/bin/env bash
# Makes a stand-in for the base image of `sam local invoke`, for machines without access to public.ecr.aws. Where that can be
# reached, do not use this: sam pulls the real image by itself.
#
# It is a minimal Debian (glibc 2.36 where Amazon Linux 2023 has 2.34), so a binary that runs in it is not thereby known to run on
# Amazon Linux. What is the real thing is sam, its runtime emulator, and how both start the function.
#
# usage: tests/support/sam-base-image.sh FOLDER   (the folder gets the file system, some 200 MB; root and debootstrap are needed)
set -euo pipefail

IMAGE=public.ecr.aws/lambda/provided:al2023-x86_64
folder=${1:?usage: $0 FOLDER}

if docker image inspect "$IMAGE" >/dev/null 2>&1; then
    echo "$IMAGE is there already"
    exit 0
fi
command -v debootstrap >/dev/null || { echo 'debootstrap is missing: apt-get install debootstrap' >&2; exit 1; }
# Made whole or not at all: the name that counts comes last.
if [[ ! -d "$folder/rootfs" ]]; then
    rm -rf "$folder/rootfs.part"
    mkdir -p "$folder"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$folder/rootfs.part" >&2
    mv "$folder/rootfs.part" "$folder/rootfs"
fi
# The entry point that Amazon's image has: the emulator's, which starts /var/task/bootstrap or /var/runtime/bootstrap.
tar --directory "$folder/rootfs" --one-file-system --exclude='./var/cache/apt/*' --exclude='./proc/*' --exclude='./sys/*' --create . |
    docker import --platform linux/amd64 \
        --change 'WORKDIR /var/task' \
        --change 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
        --change 'LABEL cordon.stand-in=true' \
        - "$IMAGE"
