-- domain/lua runs inside Redis: Lua 5.1 with these globals. `use` names the pieces a file needs.
std = "lua51"
read_globals = { "redis", "cjson", "cmsgpack", "bit", "struct", "KEYS", "ARGV", "use", "has" }
max_line_length = 110
unused_args = false
