-- Copies an element, a pin or a session that the service's commands have made, from ARGV[2] to ARGV[3], so
-- that only names, ids and counts are spelled out here. Also fills a trie (domain/lua/map/types/lpm_trie.lua)
-- and an LRU hash (domain/lua/map/hash/htab_lru.lua).
local root, call = KEYS[1], redis.call
local first, last = tonumber(ARGV[2]), tonumber(ARGV[3])
local META = root .. "meta"
local fill = {}

function fill.elements(map)
  local elements, keys = root .. "elem:" .. map, root .. "keys:" .. map
  for i = first, last do
    local key = struct.pack("<I4", i)
    call("HSET", elements, key, "value000")
    call("ZADD", keys, 0, key)
  end
end

function fill.pins(map, dir, ino)
  local names, holders = root .. "dir:" .. dir, root .. "holders:map:" .. map
  for i = first, last do
    local new = call("HINCRBY", META, "inode", 1) + 1
    call("COPY", root .. "inode:" .. ino, root .. "inode:" .. new)
    call("ZADD", names, new, "p" .. i)
    call("HSET", holders, "inode:" .. new, 1)
  end
  call("HINCRBY", root .. "map:" .. map, "refcnt", last - first + 1)
  call("HINCRBY", root .. "map:" .. map, "usercnt", last - first + 1)
end

function fill.sessions(sid)
  local deadlines, deadline = root .. "deadlines", nil
  deadline = call("ZSCORE", deadlines, sid)
  for _ = first, last do
    local new = call("HINCRBY", META, "session", 1)
    call("COPY", root .. "session:" .. sid, root .. "session:" .. new)
    call("COPY", root .. "fdmap:" .. sid, root .. "fdmap:" .. new)
    call("ZADD", deadlines, deadline, new)
    call("ZADD", root .. "ids:session", new, new)
  end
end

-- Every prefix has a value of 8 bytes. `lens` counts the prefixes of each length from 8 to 32.
function fill.prefixes(map)
  local elements, keys, lens = root .. "elem:" .. map, root .. "keys:" .. map, root .. "lens:" .. map
  math.randomseed(first)
  for i = first, last do
    local length, address, place = 8 + i % 25
    repeat
      local host = 2 ^ (32 - length)
      address = math.floor(math.random() * 2 ^ length) * host
      place = struct.pack(">I4I2", address + host - 1, 32 - length)
      local new = call("HSETNX", elements, place, struct.pack(">I4", address) .. "value000") == 1
      if not new then length = math.random(8, 32) end
    until new
    call("ZADD", keys, 0, place)
    call("HINCRBY", lens, length, 1)
  end
end

-- The elements are inactive, the oldest first, and no free node is left.
function fill.recent(map)
  local elements, keys, lists = root .. "elem:" .. map, root .. "keys:" .. map, root .. "lru:" .. map
  for i = first, last do
    local key = struct.pack("<I4I4", i, 0)
    call("HSET", elements, key, "value000")
    call("ZADD", keys, 0, key)
    call("ZADD", lists, i + 1, key)
  end
  call("HSET", root .. "map:" .. map, "moves", last + 1, "local", 0)
end

fill[ARGV[1]](unpack(ARGV, 4))
