# shellcheck shell=sh
# A login shell keeps the PATH it was started with: /etc/profile of some distributions replaces it, and every
# terminal in Jupyter is a login shell.
if [ -r "/proc/$$/environ" ]; then
    _r2d_path=$(sed -zn 's/^PATH=//p' "/proc/$$/environ" | tr -d '\0')
    [ -n "$_r2d_path" ] && export PATH="$_r2d_path"
    unset _r2d_path
fi
