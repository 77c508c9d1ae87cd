-- Batches that write: one step of a batch a call.
local kernel = use("base/kernel")
local map = use("map/map")
local batch = use("map/batch/batch")

local sys = kernel.sys

-- Splits packed elements with one unpack(), whose last result is a position. A long value is an argument of
-- its own, so it is not copied.
local function split(m, elements, count, value_size, value)
  if value then return { elements, value } end
  local element = "c" .. m.key_size .. (value_size and "c" .. value_size or "")
  local list = { struct.unpack(element:rep(count), elements) }
  list[#list] = nil
  return list
end

local function clear_locks(m, list)
  for i = 2, #list, 2 do list[i] = map.clear_locks(m, list[i]) end
end

local function write(name, fd, elements, count, key_size, elem_flags, value)
  local m, run = batch.open(fd, false, true, name, elem_flags)
  local value_size = name == "update" and m.value_bytes or nil
  local size = m.key_size + (value_size or 0)
  if count == "0" then return 0 end
  local given = #elements + (value and #value or 0)
  if given ~= size * count or (key_size ~= "" and tonumber(key_size) ~= m.key_size) then
    map.einval("an element must have " .. size .. " bytes, its key " .. m.key_size)
  end
  local list = split(m, elements, count, value_size, value)
  if value_size and m.locks then clear_locks(m, list) end
  local done, raised = run(m, list)
  if done > 0 then map.bump_revision(m) end
  if not raised then return done end
  if type(raised) ~= "table" or not raised.errno then error(raised, 0) end
  if raised.counted then map.count_failure(raised.counted) end
  return done, raised.errno, raised.detail
end

--[[
  BPF_MAP_UPDATE_BATCH (kernel: generic_map_update_batch()), one step of it. Elements before a failure stay.

    Input:
      fd          of the map
      elements    keys and values, packed
      count       of elements
      key_size    bytes, "" for the size of the map
      elem_flags  0 or BPF_F_LOCK
      value       of the only element, whose key is then `elements`; else absent
    Output:
      count          of elements done; fewer than asked without an errno is a full step
      errno, detail  of the element after them, where it failed
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or a flag is not allowed
      EPERM     fd is read-only, or the map is frozen
      ENOTSUPP  the type has no such batch
]]
function sys.map_update_batch(...) return write("update", ...) end

--[[
  BPF_MAP_DELETE_BATCH (kernel: generic_map_delete_batch()), one step of it. Elements before a failure stay.

    Input:  as map_update_batch, `elements` being keys alone
    Output: as map_update_batch
    Errors: as map_update_batch
]]
function sys.map_delete_batch(...) return write("delete", ...) end
