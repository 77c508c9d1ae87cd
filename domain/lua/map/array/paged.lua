-- Elements of one size by index, in strings of 64 KiB, so that pages that were never written cost nothing. A
-- larger element has a string of its own and is answered trimmed: the service adds the zeros behind it,
-- because Lua would need longer for them than for all the rest (paged.is_trimmed).
local kernel = use("base/kernel")
local work = use("base/work")
local call = redis.call

local PAGE_BYTES = 65536
-- Pages that one command removes at most, the units of the work list for 64 KiB of a page that was written,
-- and how many pages that were never written one unit removes.
local UNLINKS, WRITTEN, ABSENT = 64, 4, 5

local paged = {}

local function per_page(size)
  return math.max(1, math.floor(PAGE_BYTES / size))
end

-- Whether elements of this size are answered without the zeros that were never written.
function paged.is_trimmed(size)
  return size > PAGE_BYTES
end

-- The key of the page of an element, and its offset there.
function paged.place(id, size, i)
  local each = per_page(size)
  return kernel.key("elem", id .. ":" .. math.floor(i / each)), (i % each) * size
end

-- string.rep goes byte by byte: a long run is doubled until it is long enough.
local function zeros(n)
  if n < 1024 then return ("\0"):rep(n) end
  local run = ("\0"):rep(1024)
  while #run < n do run = run .. run end
  return run:sub(1, n)
end

-- The value with the zeros behind what is stored of it.
function paged.pad_with_zeros(value, size)
  if #value == size then return value end
  return #value == 0 and zeros(size) or value .. zeros(size - #value)
end

local function range(key, offset, bytes)
  return paged.pad_with_zeros(call("GETRANGE", key, offset, offset + bytes - 1), bytes)
end

-- The element as it is stored, which may be shorter.
function paged.read_trimmed(id, size, i)
  local key, offset = paged.place(id, size, i)
  return call("GETRANGE", key, offset, offset + size - 1)
end

function paged.read(id, size, i)
  return paged.pad_with_zeros(paged.read_trimmed(id, size, i), size)
end

-- All `count` elements in one string, trimmed, when they are in one page.
function paged.dump_all(id, size, count)
  return count <= per_page(size) and call("GET", kernel.key("elem", id .. ":0")) or nil
end

-- Elements by their indices. A page that contains many of them is read once.
local MANY = 16
function paged.read_indices(id, size, indices)
  local each, asked, pages, list = per_page(size), {}, {}, {}
  for _, i in ipairs(indices) do
    local n = math.floor(i / each)
    asked[n] = (asked[n] or 0) + 1
  end
  for n, count in pairs(asked) do
    if count >= MANY then pages[n] = range(kernel.key("elem", id .. ":" .. n), 0, each * size) end
  end
  for at, i in ipairs(indices) do
    local page, offset = pages[math.floor(i / each)], (i % each) * size
    list[at] = page and page:sub(offset + 1, offset + size) or paged.read(id, size, i)
  end
  return list
end

-- Elements first to last, each page read once; large elements trimmed.
function paged.read_range(id, size, first, last)
  local each, list = per_page(size), {}
  if paged.is_trimmed(size) then
    for i = first, last do list[#list + 1] = paged.read_trimmed(id, size, i) end
    return list
  end
  while first <= last do
    local stop = math.min(last, first - first % each + each - 1)
    local key, offset = paged.place(id, size, first)
    local text = range(key, offset, (stop - first + 1) * size)
    for at = 1, #text, size do list[#list + 1] = text:sub(at, at + size - 1) end
    first = stop + 1
  end
  return list
end

-- A large element has a page to itself: SET keeps the argument's memory, SETRANGE would copy it.
function paged.write(id, size, i, value)
  local key, offset = paged.place(id, size, i)
  if paged.is_trimmed(size) then call("SET", key, value) else call("SETRANGE", key, offset, value) end
end

-- Units of the work list for the memory of a page that was written.
local function cost_of(size, elements)
  return WRITTEN * math.ceil(size * elements / PAGE_BYTES)
end

-- cost: of a written page; items of older versions have none.
work.handle_late("unlink_pages", function(id, from, last, cost)
  from, last, cost = tonumber(from), tonumber(last), tonumber(cost or WRITTEN)
  local stop = math.min(last, from + UNLINKS - 1, from + math.ceil(work.room() / cost) - 1)
  local names = {}
  for n = from, stop do names[#names + 1] = kernel.key("elem", id .. ":" .. n) end
  local written = call("UNLINK", unpack(names))
  if stop < last then work.push("unlink_pages", id, stop + 1, last, cost) end
  return written * cost + math.ceil(#names / ABSENT)
end)

-- Answers how many units of the work list it used.
function paged.free(id, size, count)
  local each = per_page(size)
  if count <= each then
    work.unlink(kernel.key("elem", id .. ":0"))
    return cost_of(size, count)
  end
  work.push("unlink_pages", id, 0, math.ceil(count / each) - 1, cost_of(size, each))
  return 0
end

return paged
