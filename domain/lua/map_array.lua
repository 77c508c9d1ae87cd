-- BPF_MAP_TYPE_ARRAY (kernel/bpf/arraymap.c): every element exists, zero until written. Elements lie
-- in pages, one string each, so that what was never written costs nothing; index.lua has what all
-- types with an index for a key share.
local kernel = use("kernel")
local map = use("map")
local index = use("index")
local call = redis.call

local MMAPABLE, INNER_MAP = 1024, 4096
local EXIST, NOEXIST = 2, 1
local INT_MAX = 2147483647
-- As much as one array may come to hold, and one element of it.
local BYTES_MAX, VALUE_MAX = 4294967296, 4194304
local PAGE_BYTES = 65536
-- Pages given back by one step of the work list.
local UNLINKS = 1000

local function alloc_check(attr)
  index.alloc_check(attr, MMAPABLE + INNER_MAP)
  if attr.value_size > INT_MAX then kernel.fail("E2BIG", "value_size is more than INT_MAX") end
end

local function alloc(attr)
  if attr.value_size > VALUE_MAX then
    kernel.fail("ENOMEM", "the array's elements would have more than " .. VALUE_MAX .. " bytes")
  end
  if attr.value_size * attr.max_entries > BYTES_MAX then
    kernel.fail("ENOMEM", "the array would have more than " .. BYTES_MAX .. " bytes")
  end
end

local function per_page(m)
  return math.max(1, math.floor(PAGE_BYTES / m.value_size))
end

-- The page an element is in, and its place there.
local function place(m, i)
  local each = per_page(m)
  return kernel.key("elem", m.id .. ":" .. math.floor(i / each)), (i % each) * m.value_size
end

-- string.rep goes byte by byte: a long run is made of longer pieces.
local function zeros(n)
  if n < 1024 then return ("\0"):rep(n) end
  return ("\0"):rep(1024):rep(math.floor(n / 1024)) .. ("\0"):rep(n % 1024)
end

local function read(m, i)
  local key, offset = place(m, i)
  local value = call("GETRANGE", key, offset, offset + m.value_size - 1)
  return #value == m.value_size and value or value .. zeros(m.value_size - #value)
end

local function lookup(m, key)
  local i = index.of(key)
  return i < m.max_entries and read(m, i) or nil
end

-- array_map_update_elem()
local function update(m, key, value, flags)
  if flags > EXIST then kernel.fail("EINVAL", "flags " .. flags) end
  local i = index.check(m, key)
  if flags == NOEXIST then kernel.fail("EEXIST", "every element of an array exists") end
  local page_key, offset = place(m, i)
  call("SETRANGE", page_key, offset, value)
end

local function delete()
  kernel.fail("EINVAL", "an array's elements cannot be deleted")
end

local function page(m, cursor, limit)
  local list, first = {}, cursor and index.of(cursor) + 1 or 0
  local last = math.min(first + limit, m.max_entries) - 1
  for i = first, last do list[#list + 1], list[#list + 2] = index.key(i), read(m, i) end
  return list, last + 1 < m.max_entries and index.key(last) or nil
end

local function entries(m)
  return m.max_entries
end

-- array_map_direct_value_addr(): BPF_PSEUDO_MAP_VALUE
local function direct_value(m, offset)
  if m.max_entries ~= 1 then kernel.fail("ENOTSUPP", "direct access needs max_entries 1") end
  if offset >= m.value_size then
    map.invalid("invalid access to map value pointer, value_size=" .. m.value_size .. " off=" .. offset)
  end
end

local function pages(m)
  return math.ceil(m.max_entries / per_page(m))
end

-- A step of the work list: pages from `from` to `last` go.
local function unlink(id, from, last)
  from, last = tonumber(from), tonumber(last)
  local stop = math.min(last, from + UNLINKS - 1)
  local names = {}
  for n = from, stop do names[#names + 1] = kernel.key("elem", id .. ":" .. n) end
  call("UNLINK", unpack(names))
  if stop < last then use("work").push("map_array", "unlink", id, stop + 1, last) end
  return UNLINKS / 10
end

local function free(id, m)
  if pages(m) == 1 then
    call("UNLINK", kernel.key("elem", id .. ":0"))
  else
    use("work").push("map_array", "unlink", id, 0, pages(m) - 1)
  end
end

return { alloc_check = alloc_check, alloc = alloc, lookup = lookup, update = update, delete = delete,
  next_key = index.next_key, page = page, entries = entries, direct_value = direct_value,
  free = free, unlink = unlink }
