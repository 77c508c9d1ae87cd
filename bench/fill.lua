-- Makes many of what the service's own commands made one of: elements, pins, sessions from ARGV[2] to
-- ARGV[3], as copies of the first, so that only names, ids and counts are spelled out here.
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

fill[ARGV[1]](unpack(ARGV, 4))
