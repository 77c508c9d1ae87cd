-- Programs: what is stored of them, the maps they hold, and their end.
-- Invariant: a program holds one reference on each distinct map that its instructions name and on
-- each bound to it, and none of these is a user reference.
local kernel = use("kernel")
local refcount = use("refcount")
local call = redis.call

local prog = { sys = {} }
local INFO = { "prog_type", "prog_name", "tag", "license", "gpl_compatible", "insn_cnt",
  "load_time", "created_by_uid", "expected_attach_type", "refcnt" }

local function used(id)
  return kernel.key("used", id)
end

-- owner: what all programs of one program array have in common.
function prog.load(id)
  local owner = call("HGET", kernel.key("prog", id), "owner")
  if not owner then kernel.bug("prog " .. id .. " is held but gone") end
  return { id = id, owner = owner }
end

-- INFO's values and the ids of the maps used, in the order of their first use.
function prog.info(id)
  local fields = call("HMGET", kernel.key("prog", id), unpack(INFO))
  fields[#fields + 1] = call("LRANGE", used(id), 0, -1)
  return fields
end

-- What a loaded program keeps: its instructions, in which a map is an index into its field maps, and
-- the maps themselves.
function prog.keep(id, insns, maps)
  call("SET", kernel.key("insns", id), insns)
  for _, m in ipairs(maps) do prog.use_map(id, m.id) end
end

function prog.use_map(id, map_id)
  refcount.get("map", map_id, "prog:" .. id)
  call("RPUSH", used(id), map_id)
end

-- A step of the work list: a dead program puts its maps.
function prog.put_maps(id)
  local room = use("work").room()
  local maps = call("LPOP", used(id), room) or {}
  for _, map_id in ipairs(maps) do refcount.put("map", map_id, "prog:" .. id) end
  if #maps == room then use("work").push("prog", "put_maps", id) end
  return #maps
end

function prog.free(id)
  call("UNLINK", kernel.key("prog", id), kernel.key("insns", id), kernel.key("holders:prog", id))
  use("work").push("prog", "put_maps", id)
end

-- BPF_PROG_BIND_MAP: a map already used is no error and no second reference; the owner of a program
-- array is neither asked nor set.
function prog.sys.prog_bind_map(fd, map_fd, flags)
  if flags ~= "0" then kernel.fail("EINVAL", "flags " .. flags .. " of BPF_PROG_BIND_MAP") end
  local fd_table = use("fd_table")
  local f = fd_table.fget_kind(fd, "prog")
  local m = fd_table.fget_kind(map_fd, "map")
  local held = call("HEXISTS", kernel.key("holders:map", m.id), "prog:" .. f.id)
  if held == 0 then prog.use_map(f.id, m.id) end
end

return prog
