module qqbus/echo

go 1.19
