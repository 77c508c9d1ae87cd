-- Batches that read: one step of a batch a call.
local kernel = use("base/kernel")
local map = use("map/map")
local batch = use("map/batch/batch")

local sys = kernel.sys
-- Bytes of a value that is not put together with others: Lua takes more than a ms for each MiB of a new text.
local LONG = 65536

-- The cursor of the first step is a key to resume after, as for BPF_MAP_GET_NEXT_KEY: an unknown one starts
-- over. Hash tables resume by a token of their own, here wherever the key is or was.
local function resume(m, cursor)
  if batch.of(m).whole or m.ops.next_key(m, cursor) ~= m.ops.next_key(m) then return cursor end
  return nil
end

-- One string; or a list that begins with the size of a value, when values are long.
local function packed(m, list)
  if m.value_bytes <= LONG then return table.concat(list) end
  table.insert(list, 1, m.value_bytes)
  return list
end

local function read(name, writes, fd, cursor, limit, elem_flags, flags, begins)
  local m, run = batch.open(fd, true, writes, name, elem_flags)
  local whole = batch.of(m).whole
  if whole and flags ~= "0" then map.einval("flags must be 0, got " .. flags) end
  if cursor ~= "" and #cursor ~= m.key_size then
    kernel.fail("EINVAL", "must have " .. m.key_size .. " bytes, got " .. #cursor, "cursor")
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

--[[
  BPF_MAP_LOOKUP_BATCH (kernel: generic_map_lookup_batch()), one step of it.

    Input:
      fd          of the map
      cursor      bytes of the last step, "" to start
      limit       elements of this step
      elem_flags  0 or BPF_F_LOCK
      flags       0
      begins      1 for the first step of a call
    Output:
      elements  keys and values, packed; or a list, the bytes of a value first, when values are long
      count     of elements
      next      cursor for the next step, false before the first element
      is_end    1 when the map has no more
      is_id     1 when values are ids of objects, else 0
      is_hash   1 when the end shows with the last element, as hash tables do
      key_size  bytes
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, the cursor has a wrong size, or a flag is not allowed
      EPERM     the access of fd does not allow it
      ENOTSUPP  the type has no such batch
]]
function sys.map_lookup_batch(...) return read("lookup", false, ...) end

--[[
  BPF_MAP_LOOKUP_AND_DELETE_BATCH (kernel: __htab_map_lookup_and_delete_batch()), one step of it.

    Input:  as map_lookup_batch
    Output: as map_lookup_batch
    Errors: those of map_lookup_batch, and
      EPERM  the map is frozen
]]
function sys.map_lookup_and_delete_batch(...) return read("lookup_and_delete", true, ...) end
