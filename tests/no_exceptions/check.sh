#!/bin/sh
# sh tests/no_exceptions/check.sh WITH WITHOUT - runs the two builds of error_handler.cpp: the text of
# the exception must be the text printed before the abort, and a handler of the user's must get it too.
set -u
text=$("$1" 2>&1) || { echo "the build with exceptions failed: $text"; exit 1; }
aborted=$("$2" 2>&1)
status=$?
case $aborted in "$text"*) ;; *) echo "without exceptions: '$aborted', with: '$text'"; exit 1 ;; esac
[ $status = 134 ] || { echo "did not abort, exit status $status"; exit 1; }
handled=$("$2" handler 2>&1)
status=$?
[ "$handled" = "handler: $text" ] && [ $status = 3 ] || { echo "handler: '$handled', exit status $status"; exit 1; }
echo "same text with and without exceptions: $text"
