-- Commands that list the elements of a map (extensions).
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local elem_args = use("map/elem_args")

local sys = kernel.sys
-- As many elements as one script reads in time.
local SNAPSHOT_ENTRIES = 4096

--[[
  Lists elements page by page (extension). An element that stays is listed exactly once over all pages.

    Input:
      fd      of the map
      cursor  bytes that the last page answered, "" for the first page
      limit   elements of a page; large ones make shorter pages
    Output:
      page      key, value in turn
      next      cursor for the next page, or false
      is_id     1 when values are ids of objects, else 0
      revision  of the map
      size      bytes of a value with the zeros that were never written
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or flags has an unknown bit
      EPERM     the access of fd does not allow it
      ENOTSUPP, EOPNOTSUPP  the type has no elements to list
]]
function sys.map_dump(fd, cursor, limit)
  local m = map_fd.get(fd, true, false)
  local page, rest = m.ops.page(m, elem_args.cursor(m, cursor), map.page_limit(m, limit))
  return page, rest or false, elem_args.is_id(m), map.revision(m), m.value_bytes
end

--[[
  Lists all elements as of one moment (extension).

    Input:
      fd  of the map
    Output: as map_dump, without a next page
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map
      EPERM     fd is write-only
      EFBIG     more elements or bytes than one script reads in time
      ENOTSUPP, EOPNOTSUPP  the type has no elements to list
]]
function sys.map_snapshot(fd)
  local m = map_fd.get(fd, true, false)
  -- Comes first, so that a type without elements refuses as it does in map_dump.
  local page = m.ops.page(m, nil, 1)
  local count = m.ops.entries(m)
  if count > SNAPSHOT_ENTRIES or count * (m.key_size + m.value_bytes) > map.PAGE_BYTES then
    kernel.fail("EFBIG", "a snapshot has at most " .. SNAPSHOT_ENTRIES .. " elements and " .. map.PAGE_BYTES
      .. " bytes, the map has " .. count .. " elements of " .. m.key_size + m.value_bytes .. " bytes")
  end
  if count > 1 then page = m.ops.page(m, nil, count) end
  return page, false, elem_args.is_id(m), map.revision(m), m.value_bytes
end
