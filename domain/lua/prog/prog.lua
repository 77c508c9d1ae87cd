-- Programs: what is stored of them, the maps they hold, and their end.
-- Invariant: a program holds one reference on each distinct map that its instructions name and on
-- each bound to it, and none of these is a user reference.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local work = use("base/work")
local cred = use("base/cred")
local fd_table = use("file/fd_table")
local insns = use("prog/insns")
local prog_type = use("prog/prog_type")
local uapi = use("uapi")
local call = redis.call

-- Units of the work list for a reference on a map.
local PUT = 3

local prog = {}

local function used(id)
  return kernel.key("used", id)
end

-- What all programs of one program array have in common.
local function owner(id)
  return call("HGET", kernel.key("prog", id), "owner") or kernel.bug("prog " .. id .. " is held but gone")
end

local FUNC_INFO, LINE_INFO = uapi.FUNC_INFO_BYTES, uapi.LINE_INFO_BYTES

-- bpf_prog_get_info_by_fd(): func_info and line_info are hidden from callers without CAP_BPF.
local function may_see_infos()
  return cred.capable_or_admin("CAP_BPF")
end

-- In the order of uapi.PROG_INFO, then the ids of the maps used, in the order of their first use.
local function info(id)
  local fields = call("HMGET", kernel.key("prog", id), unpack(uapi.PROG_INFO))
  if fields[#fields] and not may_see_infos() then fields[#fields - 1], fields[#fields] = 0, 0 end
  fields[#fields + 1] = call("LRANGE", used(id), 0, -1)
  return fields
end

-- set_info_rec_size()
local function check_record_size(field, count, size, wanted)
  if (count or size or 0) ~= 0 and (size or wanted) ~= wanted then
    kernel.fail("EINVAL", field .. " must be " .. wanted .. ", got " .. size)
  end
end

-- As many records of func_info and line_info as there is room for.
local function parts(id, room)
  check_record_size("func_info_rec_size", room.nr_func_info, room.func_info_rec_size, FUNC_INFO)
  check_record_size("line_info_rec_size", room.nr_line_info, room.line_info_rec_size, LINE_INFO)
  local funcs, lines = room.nr_func_info or 0, room.nr_line_info or 0
  if (funcs == 0 and lines == 0) or not may_see_infos() then return {} end
  local stored = call("HMGET", kernel.key("prog", id), "func_records", "line_records")
  return { (stored[1] or ""):sub(1, funcs * FUNC_INFO), (stored[2] or ""):sub(1, lines * LINE_INFO) }
end

local function identify(id)
  return unpack(call("HMGET", kernel.key("prog", id), "prog_type", "prog_name"))
end

local function type_of(text)
  local type = prog_type.of(text)
  return type and type.name
end

function prog.use_map(id, map_id)
  refcount.get("map", map_id, "prog:" .. id)
  call("RPUSH", used(id), map_id)
end

-- A dead program puts its maps.
work.handle("put_maps", function(id)
  local limit = math.ceil(work.room() / PUT)
  local maps = call("LPOP", used(id), limit) or {}
  for _, map_id in ipairs(maps) do refcount.put("map", map_id, "prog:" .. id) end
  if #maps == limit then work.push("put_maps", id) end
  return PUT * #maps
end)

local function free(id)
  local btf_id = call("HGET", kernel.key("prog", id), "btf_id")
  if btf_id then refcount.put("btf", btf_id, "prog:" .. id) end
  insns.free(id)
  work.unlink(kernel.key("prog", id))
  work.unlink(kernel.key("holders:prog", id))
  work.push("put_maps", id)
end

refcount.kinds.prog = { info = info, parts = parts, identify = identify, type_of = type_of, free = free,
  owner = owner }

--[[
  BPF_PROG_BIND_MAP (kernel: bpf_prog_bind_map()): the program holds the map from now on. A map that it
  holds already gets no second reference; the owner of a program array is neither checked nor set.

    Input:
      fd      of the program
      map_fd  of the map
      flags   0
    Output: nothing
    Errors:
      EINVAL  flags is not 0, or an fd is of the wrong kind
      EBADF   an fd is not open
]]
function kernel.sys.prog_bind_map(fd, map_fd, flags)
  if flags ~= "0" then kernel.fail("EINVAL", "flags of BPF_PROG_BIND_MAP must be 0, got " .. flags) end
  local f = fd_table.fget_kind(fd, "prog")
  local m = fd_table.fget_kind(map_fd, "map")
  local held = call("HEXISTS", kernel.key("holders:map", m.id), "prog:" .. f.id)
  if held == 0 then prog.use_map(f.id, m.id) end
end

return prog
