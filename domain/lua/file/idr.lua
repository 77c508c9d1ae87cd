-- Ids of living objects, one space per kind, and the commands that go by id.
-- Invariant: an id is never given twice, and is gone the moment its object's last reference goes.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local cred = use("base/cred")
local file = use("file/file")
local fd_table = use("file/fd_table")
local call = redis.call

local idr = {}
local sys = kernel.sys
local kinds = refcount.kinds
-- As many as one call tells of; the page says that there is more.
local HOLDERS, PAGE = 500, 200

-- A new object: its id, then its fd. EMFILE burns the id, as in Linux: the counter is all it leaves.
function idr.publish(kind, mode, fields)
  local id = kernel.increment(kind)
  local fd = fd_table.get_unused_fd()
  call("HSET", kernel.key(kind, id), unpack(fields))
  call("ZADD", kernel.key("ids:" .. kind), id, id)
  fd_table.install(fd, file.open(kind, id, mode))
  return fd, id
end

local function living(kind, id)
  if not call("ZSCORE", kernel.key("ids:" .. kind), id) then
    kernel.fail("ENOENT", "no " .. kind .. " has id " .. id)
  end
end

-- What BPF_*_GET_FD_BY_ID would open, for who needs no fd of it.
function idr.lookup(kind, id)
  cred.need_admin("opening a " .. kind .. " by id")
  living(kind, id)
  return { kind = kind, id = id }
end

local function open_by_id(kind, id, flags)
  local mode = file.mode(flags)
  cred.need_admin("opening a " .. kind .. " by id")
  if not mode then kernel.fail("EINVAL", "open_flags ask for read-only and write-only at once") end
  living(kind, id)
  return fd_table.install(fd_table.get_unused_fd(), file.open(kind, id, mode)), kind, id
end

-- BPF_MAP_GET_FD_BY_ID: makes a user again of a map that only programs hold.
function sys.map_get_fd_by_id(id, flags)
  if tonumber(flags) - bit.band(flags, 24) ~= 0 then
    kernel.fail("EINVAL", "open_flags " .. flags .. ": 8 and 16 are known")
  end
  return open_by_id("map", id, tonumber(flags))
end

-- BPF_PROG_GET_FD_BY_ID
function sys.prog_get_fd_by_id(id)
  return open_by_id("prog", id, 0)
end

-- BPF_OBJ_GET_INFO_BY_FD: EBADFD for an fd that is not open. The kind, the flags, the fields.
function sys.obj_get_info_by_fd(fd)
  local f = fd_table.fget(fd, "EBADFD")
  return f.kind, f.id, kinds[f.kind].info(f.id), f.flags
end

-- A page of infos after start_id: BPF_*_GET_NEXT_ID over and over.
local function list(kind, start, limit)
  if tonumber(start) >= 2147483647 then kernel.fail("EINVAL", "start_id " .. start) end
  cred.need_admin("listing " .. kind .. "s")
  limit = math.min(tonumber(limit), PAGE)
  local ids = call("ZRANGEBYSCORE", kernel.key("ids:" .. kind), "(" .. start, "+inf",
    "LIMIT", 0, limit + 1)
  local more = #ids > limit and table.remove(ids)
  local page = {}
  for i, id in ipairs(ids) do page[i] = { id, kinds[kind].info(id, true) } end
  return page, more and ids[#ids] or false
end

function sys.map_get_next_id(start, limit) return list("map", start, limit) end
function sys.prog_get_next_id(start, limit) return list("prog", start, limit) end

-- One object and who holds it: holder and count by turns, for files the session that opened it and
-- the number of its sharers after it.
local function get(kind, id)
  cred.need_admin("looking at a " .. kind .. " by id")
  living(kind, id)
  local key = kernel.key("holders:" .. kind, id)
  local held
  if call("HLEN", key) > HOLDERS then
    held = call("HRANDFIELD", key, HOLDERS, "WITHVALUES")
  else
    held = call("HGETALL", key)
  end
  local holders = {}
  for i = 1, #held, 2 do
    local row = { held[i], held[i + 1] }
    local n = held[i]:match("^file:(%d+)$")
    if n then
      row[3], row[4] = unpack(call("HMGET", kernel.key("file", n), "session", "refs"))
    end
    holders[#holders + 1] = row
  end
  return kinds[kind].info(id), holders, call("HLEN", key) > HOLDERS and 1 or 0
end

function sys.map_get(id) return get("map", id) end
function sys.prog_get(id) return get("prog", id) end

return idr
