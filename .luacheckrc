-- domain/lua runs inside Redis: Lua 5.1 with these globals. `use` names the pieces a file needs; `current`
-- is what is of one call, made anew for each (domain/redis/lua_bundle.ts).
std = "lua51"
globals = { "current" }
read_globals = { "redis", "cjson", "cmsgpack", "bit", "struct", "use" }
max_line_length = 110
unused_args = false
