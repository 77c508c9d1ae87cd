-- What all map types share: access, info, freeze, and the end; map_attr.lua has how they are made. A
-- type is a file map_<type>.lua that ends in its table of operations; shared code never asks which
-- type it is.
-- Operations of a type (map is what load() answers):
--   alloc_check(attr)  attributes wrong for the type, before EPERM
--   alloc(attr)        and after it; may answer further fields of the map's record
--   lookup(map, key, value) -> value or nil   update(map, key, value, flags)   delete(map, key)
--   next_key(map, key or nil) -> key or nil   take(map, key) or absent: ENOTSUPP
--   page(map, cursor, limit) -> elements, cursor or nil    entries(map) -> count
--   free(id, map)      release_users(id) or absent: usercnt fell to 0
--   own(map, key)      or absent: the value of just this key, where lookup may answer with another's
--   touch(map, key)    or absent: a program's lookup makes the element recently used
--   meta_equal(template, map) or absent: what an inner map must share beside its sizes and flags
--   image(map)         or absent: all values as one string, if they are few
--   front(map, limit)  or absent: the values popped next, of a queue or stack
--   many(map, keys) -> values, false for none; or absent: own() of each of them
--   look_cost(map), change_cost(map, kind) or absent: what a run's take of Redis, where a hash's take 1
--   positions(map), fits(map, records) or absent: a ring buffer's room
--   output(map, records, flags), read(map, from, limit, may_write) or absent: a ring buffer's records
--   direct_value(map, offset) or absent: BPF_PSEUDO_MAP_VALUE
--   adopt(map, prog)   or absent: a program names the map, which may be of programs of another kind
-- and properties: batches (what batch.lua can do with the type, by its name in generic_batch.lua),
-- applied_by (the module whose apply(map, ops) does what a run did, map.values having the keys' values;
-- absent: one by one), locks (a value may have a bpf_spin_lock), percpu, takes_extra (map_extra),
-- asks_value (a lookup comes with a value), matches (it may answer with another key's), holds (the kind of
-- object whose ids are the values), cursor_bytes (where a cursor is no key), never_inner (not in a map of
-- maps), needs (a capability beside CAP_BPF).
local kernel = use("kernel")
local fd_table = use("fd_table")
local call = redis.call

local map = { sys = {} }
local sys = map.sys

local FIELDS = { "map_type", "key_size", "value_size", "max_entries", "map_flags", "frozen", "cpus",
  "revision", "locks" }
local F_LOCK = 4

-- A value of a per-CPU map, as the system call sees it: every CPU's, each rounded up to 8 bytes.
function map.percpu_bytes(value_size, cpus)
  return math.ceil(value_size / 8) * 8 * cpus
end

-- The parts of a map that its operations need; missing behind a valid fd is a bug.
function map.load(id)
  local v = call("HMGET", kernel.key("map", id), unpack(FIELDS))
  if not v[1] then kernel.bug("map " .. id .. " is held but gone") end
  local value_size = tonumber(v[3])
  return { id = id, type = v[1], key_size = tonumber(v[2]), value_size = value_size,
    value_bytes = v[7] and map.percpu_bytes(value_size, v[7]) or value_size,
    max_entries = tonumber(v[4]), flags = tonumber(v[5]), frozen = v[6] == "1", revision = v[8],
    locks = v[9],
    ops = use("map_" .. v[1]) }
end

-- The map behind an fd, and the fd's access: EPERM unless it allows what is asked, a frozen map
-- nothing that writes.
function map.fget(fd, reads, writes)
  local f = fd_table.fget_kind(fd, "map")
  local m = map.load(f.id)
  if reads and f.mode % 2 == 0 then kernel.fail("EPERM", "fd " .. fd .. " is write-only") end
  if writes and f.mode < 2 then kernel.fail("EPERM", "fd " .. fd .. " is read-only") end
  if writes and m.frozen then kernel.fail("EPERM", "map " .. m.id .. " is frozen") end
  return m
end

function map.invalid(detail)
  kernel.fail("EINVAL", detail)
end

-- bpf_map_check_op_flags(): what other flags there are. A script is a lock by itself.
function map.check_lock(m, flags)
  if flags % (2 * F_LOCK) < F_LOCK then return flags end
  if not m.locks then map.invalid("BPF_F_LOCK: the value has no bpf_spin_lock") end
  return flags - F_LOCK
end

-- copy_map_value(): locks are not written.
-- Invariant: the bytes of a lock are zero in every element, so that nothing has to hide them.
function map.unlocked(m, value)
  for at in (m.locks or ""):gmatch("%d+") do
    value = value:sub(1, at) .. ("\0"):rep(4) .. value:sub(at + 5)
  end
  return value
end

-- How many elements one script reads at most, whatever is asked: big ones are few.
map.PAGE_BYTES = 262144
function map.at_once(m, limit)
  return math.min(limit, math.max(1, math.floor(map.PAGE_BYTES / (m.key_size + m.value_bytes))))
end

-- An update refused for want of room is counted: all that a failed command leaves.
function map.full(m, errno)
  error({ errno = errno or "E2BIG", detail = "the map is full: " .. m.max_entries .. " elements",
    counted = m.id }, 0)
end

-- A Redis without memory refuses to count, which is no answer to the caller.
function map.count_failure(id)
  pcall(call, "HINCRBY", kernel.key("map", id), "failed", 1)
end

-- Elements that went to make room for others.
function map.evicted(m, count)
  call("HINCRBY", kernel.key("map", m.id), "evicted", count)
end

-- Every change of elements makes a new revision.
function map.changed(m)
  return call("HINCRBY", kernel.key("map", m.id), "revision", 1)
end

-- The stored values and the number of elements; the schema, which may be long, unless it is for a list.
function map.info(id, listed)
  local fields = call("HMGET", kernel.key("map", id),
    "map_type", "map_name", "key_size", "value_size", "max_entries", "map_flags", "map_extra",
    "frozen", "refcnt", "usercnt", "cpus", "evicted", "failed", "revision", listed and "" or "schema")
  local m = map.load(id)
  fields[#fields + 1] = m.ops.entries(m)
  return fields
end

-- BPF_MAP_FREEZE: the fd must be writable; for ever, and only once.
function sys.map_freeze(fd)
  if map.load(fd_table.fget_kind(fd, "map").id).locks then
    kernel.fail("ENOTSUPP", "a map with a bpf_spin_lock cannot be frozen")
  end
  local m = map.fget(fd, false, true)
  call("HSET", kernel.key("map", m.id), "frozen", 1)
end

-- bpf_map_put_uref() at 0
function map.release_users(id)
  local release_users = map.load(id).ops.release_users
  if release_users then release_users(id) end
end

function map.free(id)
  local m = map.load(id)
  m.ops.free(id, m)
  call("UNLINK", kernel.key("map", id), kernel.key("holders:map", id))
end

return map
