module qqbus/echo

go 1.19

// Apache-2.0; Debian has it as golang-github-gomodule-redigo-dev.
require github.com/gomodule/redigo v1.8.3
