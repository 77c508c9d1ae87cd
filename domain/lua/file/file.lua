-- Open files: what an fd names; shared by dup, fork and passing, each sharer one count.
-- Invariant: an open file holds one reference on its object, from its making to its last put.
local kernel = use("base/kernel")
local memo = use("base/memo")
local refcount = use("base/refcount")
local call = redis.call

local file = {}

-- Access modes as bits: 1 read, 2 write.
local MODES = { [0] = 3, [8] = 1, [16] = 2 }
local FLAGS = { [3] = 0, [1] = 8, [2] = 16 }

-- BPF_F_RDONLY 8 and BPF_F_WRONLY 16 as an access mode; nil for both at once.
function file.mode(flags)
  return MODES[flags]
end

-- An fd's entry spells out its file's constant parts: one read less on every element operation.
file.parse = memo(function(text)
  local n, kind, id, mode = text:match("^(%d+):(%a+):(%d+):(%d)$")
  return { n = n, kind = kind, id = id, mode = tonumber(mode), flags = FLAGS[tonumber(mode)],
    entry = text }
end)

-- A new open file with one sharer; answers its entry.
function file.open(kind, id, mode)
  local n = kernel.increment("file")
  call("HSET", kernel.key("file", n), "refs", 1, "session", current.sid)
  refcount.get(kind, id, "file:" .. n)
  return n .. ":" .. kind .. ":" .. id .. ":" .. mode
end

function file.get(f)
  call("HINCRBY", kernel.key("file", f.n), "refs", 1)
end

-- Takes sharers off an open file; answers its key, to be deleted, when none is left. Most files have one, so
-- that reading first is faster than a change before the deletion.
local function drop_sharers(n, count)
  local key = kernel.key("file", n)
  local left = (tonumber(call("HGET", key, "refs")) or 0) - count
  if left < 0 then kernel.bug("file " .. n .. " put once too often") end
  if left == 0 then return key end
  call("HINCRBY", key, "refs", -count)
end

function file.put(f)
  local key = drop_sharers(f.n, 1)
  if not key then return end
  call("DEL", key)
  refcount.put(f.kind, f.id, "file:" .. f.n)
end

-- Counts the entries of each open file, in the order in which they come.
local function count_sharers(entries)
  local shared, order = {}, {}
  for _, entry in ipairs(entries) do
    if not shared[entry] then order[#order + 1] = entry end
    shared[entry] = (shared[entry] or 0) + 1
  end
  return shared, order
end

local function add_put(puts, kind, id, n)
  local name = kind .. id
  local put = puts[name]
  if not put then
    put = { kind = kind, id = id, holders = {} }
    puts[name], puts[#puts + 1] = put, put
  end
  put.holders[#put.holders + 1] = "file:" .. n
end

-- Puts many entries at once. The files of ended sessions are read once each, so they are not memoised.
function file.put_all(entries)
  local shared, order = count_sharers(entries)
  local dead, puts = {}, {}
  for _, entry in ipairs(order) do
    local n, kind, id = entry:match("^(%d+):(%a+):(%d+)")
    local key = drop_sharers(n, shared[entry])
    if key then
      dead[#dead + 1] = key
      add_put(puts, kind, id, n)
    end
  end
  if not dead[1] then return end
  call("DEL", unpack(dead))
  refcount.put_files(puts)
end

return file
