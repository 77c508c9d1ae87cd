-- The maps that a program's instructions name.
local kernel = use("base/kernel")
local fd_table = use("file/fd_table")
local idr = use("file/idr")
local map = use("map/map")
local uapi = use("uapi")
local call = redis.call

local prog_maps = {}

local MAPS_MAX = 64

-- check_map_prog_compatibility(): program types that may not use a map with locks.
local NO_LOCKS = { socket_filter = "socket filter", kprobe = "tracing", tracepoint = "tracing",
  perf_event = "tracing", raw_tracepoint = "tracing", raw_tracepoint_writable = "tracing" }

-- Refuses as the verifier does, whose log ends in the reason.
function prog_maps.log_fail(errno, text)
  error({ errno = errno, detail = text, log = text }, 0)
end
local log_fail = prog_maps.log_fail

-- resolve_pseudo_ldimm64(): in the order in which the instructions name them. Answers the distinct
-- maps, and the id behind each fd.
function prog_maps.resolve(refs, type)
  local maps, seen, ids = {}, {}, {}
  for i, ref in ipairs(refs) do
    local f = ref.id and idr.lookup("map", tostring(ref.id)) or fd_table.lookup(ref.fd)
    if not f or f.kind ~= "map" then
      log_fail((f or (ref.fd >= 0 and ref.fd <= 2)) and "EINVAL" or "EBADF",
        "fd " .. ref.fd .. " is not pointing to valid bpf_map")
    end
    if not seen[f.id] then
      if #maps == MAPS_MAX then
        log_fail("E2BIG", "The total number of maps per program has reached the limit of 64")
      end
      seen[f.id] = map.load(f.id)
      if seen[f.id].locks and NO_LOCKS[type.name] then
        log_fail("EINVAL", NO_LOCKS[type.name] .. " progs cannot use bpf_spin_lock yet")
      end
      maps[#maps + 1] = seen[f.id]
    end
    if ref.offset then
      local direct_value = seen[f.id].ops.direct_value
      if not direct_value then log_fail("EINVAL", "no direct value access support for this map type") end
      direct_value(seen[f.id], ref.offset)
    end
    ids[i] = f.id
  end
  return maps, ids
end

-- In the order of uapi.PROG_MAP, then what it keeps of its template.
function prog_maps.row(id)
  local m = map.load(id)
  local schema, btf_id, name = unpack(call("HMGET", m.record, "schema", "btf_id", "map_name"))
  local btf = (schema or btf_id) and 1 or 0
  local row = kernel.list_fields(uapi.PROG_MAP, { btf = btf, map_name = name }, m)
  for _, value in ipairs(call("HMGET", m.record, unpack(uapi.INNER_MAP))) do row[#row + 1] = value end
  return row
end

return prog_maps
