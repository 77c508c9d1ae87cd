-- Batches: a step of one at a time, so that no script is long; domain/commands/batch.ts goes on from step to
-- step. As in the kernel a batch stops at its first failure, and what it did before stays done.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local generic_batch = use("map/batch/generic_batch")
local paged = use("map/array/paged")

local sys = kernel.sys

local function batches_of(m)
  return generic_batch[m.ops.batches] or {}
end

-- bpf_map_do_batch(): fd, access, whether the type has it, elem_flags; `flags` only some look at.
local function open(fd, reads, writes, name, elem_flags)
  local m = map_fd.get(fd, reads, writes)
  local run = batches_of(m)[name]
  if not run then kernel.fail("ENOTSUPP", "a " .. m.type .. " has no batch " .. name) end
  if map.check_op_flags(m, tonumber(elem_flags)) ~= 0 then
    map.einval("elem_flags " .. elem_flags .. " is neither 0 nor BPF_F_LOCK of a map with locks")
  end
  return m, run
end

-- A cursor from outside is a key to go on from, as BPF_MAP_GET_NEXT_KEY does: an unknown one starts
-- over. Hash tables go on by their own token, here wherever the key was or is.
local function resume(m, cursor)
  if batches_of(m).whole or m.ops.next_key(m, cursor) ~= m.ops.next_key(m) then return cursor end
  return nil
end

-- Large values without zeros that were never written make a list, with the bytes of a value before it.
local function packed(m, list)
  if not m.ops.lookup_trimmed or not paged.is_trimmed(m.value_bytes) then return table.concat(list) end
  table.insert(list, 1, m.value_bytes)
  return list
end

-- Elements as packed() has them, how many, where to go on, whether the end was reached, whether values are
-- ids, whether the end shows as soon as it is reached, and the size of keys.
local function read(name, writes, fd, cursor, limit, elem_flags, flags, begins)
  local m, run = open(fd, true, writes, name, elem_flags)
  local whole = batches_of(m).whole
  if whole and flags ~= "0" then map.einval("flags is not 0") end
  if cursor ~= "" and #cursor ~= m.key_size then
    map.einval("cursor has " .. #cursor .. " bytes, this map's have " .. m.key_size)
  end
  if limit == "0" then return "", 0, false, 0, 0, 0, m.key_size end
  local from = cursor ~= "" and cursor or nil
  if from and begins == "1" then from = resume(m, from) end
  local list, rest = run(m, from, map.page_limit(m, limit))
  if writes and #list > 0 then map.bump_revision(m) end
  local count, last = #list / 2, list[#list - 1] or false
  return packed(m, list), count, rest or last, rest and 0 or 1, m.ops.object_kind and 1 or 0,
    whole and 1 or 0, m.key_size
end

-- All at once; the last that unpack answers is where it stopped.
local function split(m, elements, count, value_size)
  local element = "c" .. m.key_size .. (value_size and "c" .. value_size or "")
  local list = { struct.unpack(element:rep(count), elements) }
  list[#list] = nil
  if value_size and m.locks then
    for i = 2, #list, 2 do list[i] = map.clear_locks(m, list[i]) end
  end
  return list
end

-- elements: key and value by turns, or keys alone, `count` times; key_size "" when the caller leaves
-- it to the map. Answers how many were done and, where it failed, the errno and detail of the next; fewer
-- without an errno are a full step.
local function write(name, fd, elements, count, key_size, elem_flags)
  local m, run = open(fd, false, true, name, elem_flags)
  local value_size = name == "update" and m.value_bytes or nil
  local size = m.key_size + (value_size or 0)
  if count == "0" then return 0 end
  if #elements ~= size * count or (key_size ~= "" and tonumber(key_size) ~= m.key_size) then
    map.einval("elements of " .. size .. " bytes are wanted, of which " .. m.key_size .. " are the key")
  end
  local done, raised = run(m, split(m, elements, count, value_size))
  if done > 0 then map.bump_revision(m) end
  if not raised then return done end
  if type(raised) ~= "table" or not raised.errno then error(raised, 0) end
  if raised.counted then map.count_failure(raised.counted) end
  return done, raised.errno, raised.detail
end

-- BPF_MAP_LOOKUP_BATCH
function sys.map_lookup_batch(...) return read("lookup", false, ...) end

-- BPF_MAP_LOOKUP_AND_DELETE_BATCH
function sys.map_lookup_and_delete_batch(...) return read("lookup_and_delete", true, ...) end

-- BPF_MAP_UPDATE_BATCH
function sys.map_update_batch(...) return write("update", ...) end

-- BPF_MAP_DELETE_BATCH
function sys.map_delete_batch(...) return write("delete", ...) end
