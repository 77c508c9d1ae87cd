-- Commands on a session's own fds, and what exit and fork do with all of them.
local kernel = use("base/kernel")
local paging = use("base/paging")
local fd_table = use("file/fd_table")
local file = use("file/file")
local call = redis.call

local fd = {}
local sys = kernel.sys
-- The first fd behind the standard streams.
local FIRST = 3

-- Lowest taken fd from `from` on, or nil.
local function next_fd(map, from)
  local n = call("BITPOS", map, 1, from, -1, "BIT")
  return n >= 0 and n or nil
end

-- Numbers of at most `limit` fds from `from` on, and the one that follows them.
local function next_fds(map, from, limit)
  local numbers, n = {}, next_fd(map, from)
  while n and #numbers < limit do
    numbers[#numbers + 1] = n
    n = next_fd(map, n + 1)
  end
  return numbers, n
end

-- Entries of at most `limit` fds from `from` on, and the fd that follows them. A standard stream has none.
local function read_entries(sid, from, limit)
  local fds, map = fd_table.keys(sid)
  if from == 0 and fd_table.count(sid) <= limit then return call("HVALS", fds) end
  local numbers, n = next_fds(map, math.max(from, FIRST), limit)
  return numbers[1] and call("HMGET", fds, unpack(numbers)) or {}, n
end

-- close_files at the exit of sessions, of at most `limit` fds. exits: { sid, from }, the first fd that is
-- open. Answers how many were closed, the ids of the sessions that have none left, and the other exits.
function fd.close_all(exits, limit)
  local entries, done, rest = {}, {}, {}
  for _, exit in ipairs(exits) do
    local some, n = {}, exit.from
    if #entries < limit then some, n = read_entries(exit.sid, exit.from, limit - #entries) end
    for _, entry in ipairs(some) do entries[#entries + 1] = entry end
    if n then rest[#rest + 1] = { sid = exit.sid, from = n } else done[#done + 1] = exit.sid end
  end
  file.put_all(entries)
  fd_table.remove(done)
  return #entries, done, rest
end

-- dup_fd: the child's table names the same open files.
function fd.copy(sid, child)
  local fds, map = fd_table.keys(sid)
  local child_fds, child_map = fd_table.keys(child)
  local all = call("HGETALL", fds)
  for i = 2, #all, 2 do file.get(file.parse(all[i])) end
  if #all > 0 then call("COPY", fds, child_fds) end
  call("COPY", map, child_map)
end

--[[
  close(2): closes a descriptor of the session (kernel: fs/file.c close_fd()).

    Input:
      fd  number of the descriptor
    Output: nothing
    Errors:
      EBADF   fd is not open
      EINVAL  fd is a standard stream
]]
function sys.close(n)
  local f = fd_table.fget(n)
  local fds, map = fd_table.keys(current.sid)
  call("HDEL", fds, n)
  call("SETBIT", map, n, 0)
  file.put(f)
end

--[[
  dup(2): gives the open file behind fd a second, lowest-numbered descriptor (kernel: fs/file.c).

    Input:
      fd  number of the descriptor
    Output:
      fd  number of the new descriptor
    Errors:
      EBADF   fd is not open
      EINVAL  fd is a standard stream
      EMFILE  the session has as many fds as its nofile allows
]]
function sys.dup(n)
  local f = fd_table.fget(n)
  local new = fd_table.get_unused_fd()
  file.get(f)
  return fd_table.install(new, f.entry)
end

--[[
  Lists the descriptors of the session in their order (extension; on Linux /proc/PID/fd).

    Input:
      start  list numbers greater than this
      limit  descriptors of a page
      kind   list descriptors of maps or programs alone, "" for both
    Output:
      page  fd, kind, id, flags (0, BPF_F_RDONLY or BPF_F_WRONLY) in turn
      last  last number looked at when there are more, or false
    Errors: none
]]
function sys.fd_list(start, limit, kind)
  limit = tonumber(limit)
  local fds, map = fd_table.keys(current.sid)
  local entries
  local matches = kind ~= "" and function(i) return file.parse(entries[i]).kind == kind end
  local looks = paging.looks(limit, matches)
  local numbers = next_fds(map, math.max(start + 1, FIRST), looks + 1)
  entries = numbers[1] and call("HMGET", fds, unpack(numbers)) or {}
  local places, last = paging.select(#numbers, limit, matches)
  local page = {}
  for i, place in ipairs(places) do
    local f = file.parse(entries[place])
    page[4 * i - 3], page[4 * i - 2], page[4 * i - 1], page[4 * i] = numbers[place], f.kind, f.id, f.flags
  end
  return page, last and numbers[last]
end

return fd
