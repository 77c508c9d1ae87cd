-- The command that lists a map of maps with the elements of the maps in it (extension).
local kernel = use("base/kernel")
local cred = use("base/cred")
local map = use("map/map")
local map_fd = use("map/map_fd")
local elem_args = use("map/elem_args")
local uapi = use("uapi")
local call = redis.call

-- Inner maps of a page, and their elements and bytes in sum: what a script reads in a few ms.
local MAPS, ELEMENTS, BYTES = 100, 1000, map.PAGE_BYTES

-- The place of the map's schema among those of the page, 0 for none. Maps of a page often share one.
local function schema_index(m, schemas, room)
  local text = call("HGET", m.record, "schema")
  if not text then return 0 end
  for i, known in ipairs(schemas) do
    if known == text then return i end
  end
  schemas[#schemas + 1] = text
  room.bytes = room.bytes - #text
  return #schemas
end

-- Elements of m from the first on, all that fit into the room; nil where a page of its own has room for more.
-- Their values are bytes, because a map of objects cannot be in a map.
local function elements_of(m, room, is_first)
  local size, count = m.key_size + m.value_bytes, m.ops.entries(m)
  local fits = math.min(room.elements, math.floor(room.bytes / size))
  if count > fits and not is_first then return nil end
  local list, rest = m.ops.page(m, nil, math.max(1, math.min(count, fits)))
  room.elements = room.elements - #list / 2
  room.bytes = room.bytes - #list / 2 * size
  return list, rest
end

--[[
  Lists a map of maps page by page, each inner map with its elements as of the same moment (extension).

    Input:
      fd            of the map
      cursor        bytes that the last page answered, "" for the first page
      limit         inner maps of a page
      with_schemas  1: answer the schemas of the inner maps
    Output:
      page     of each inner map the fields of uapi.INNER_DUMP; `next` is false unless the map has more
               elements than a page, `schema` the place of its schema in `schemas` or 0
      next     cursor for the next page, or false
      schemas  text of each
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map of maps, or the cursor has a wrong size
      EPERM     fd is write-only, or the caller lacks CAP_SYS_ADMIN
      ENOTSUPP, EOPNOTSUPP  the inner maps have no elements to list
]]
function kernel.sys.map_dump_nested(fd, cursor, limit, with_schemas)
  local outer = map_fd.get(fd, true, false)
  if outer.ops.object_kind ~= "map" then
    kernel.fail("EINVAL", "must be false: a " .. outer.type .. " has no maps in it", "nested")
  end
  cred.need_admin("reading the maps in a map")
  local slots, rest = outer.ops.page(outer, elem_args.cursor(outer, cursor), math.min(limit, MAPS))
  local room, page, schemas = { elements = ELEMENTS, bytes = BYTES }, {}, {}
  for i = 1, #slots, 2 do
    local m = map.load((struct.unpack("<I4", slots[i + 1])))
    local list, more = elements_of(m, room, i == 1)
    if not list then return page, slots[i - 2], schemas end
    local schema = with_schemas == "1" and schema_index(m, schemas, room) or 0
    local row = { key = slots[i], elements = list, next = more, schema = schema }
    page[#page + 1] = kernel.list_fields(uapi.INNER_DUMP, row, m)
  end
  return page, rest or false, schemas
end
