-- Commands on a session's own fds, and what exit and fork do with all of them.
local kernel = use("base/kernel")
local paging = use("base/paging")
local fd_table = use("file/fd_table")
local file = use("file/file")
local call = redis.call

local fd = {}
local sys = kernel.sys

-- Lowest taken fd from `from` on, or nil.
local function next_fd(map, from)
  local n = call("BITPOS", map, 1, from, -1, "BIT")
  return n >= 0 and n or nil
end

-- close_files at exit, in fd order, within the budget of the work list.
function fd.close_all(sid, from, room)
  local fds, map = fd_table.keys(sid)
  local n, closed = next_fd(map, from), 0
  while n and closed < room do
    local text = call("HGET", fds, n)
    if text then
      file.put(file.parse(text))
      closed = closed + 1
    end
    n = next_fd(map, n + 1)
  end
  if not n then call("UNLINK", fds, map) end
  return closed, n
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
  local numbers, n = {}, next_fd(map, math.max(start + 1, 3))
  while n and #numbers <= looks do
    numbers[#numbers + 1] = n
    n = next_fd(map, n + 1)
  end
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
