# For root's login shells of the sh family; /etc/profile was read before.
export ENV="$HOME/.shrc"
