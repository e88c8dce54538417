opt --list
