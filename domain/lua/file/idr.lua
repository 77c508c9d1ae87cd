-- Ids of living objects, one space per kind (kernel: bpf_map_alloc_id(), bpf_prog_alloc_id()).
-- Invariant: an id is never given twice, and is gone the moment its object's last reference goes.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local work_list = use("base/work_list")
local cred = use("base/cred")
local file = use("file/file")
local fd_table = use("file/fd_table")
local call = redis.call

local idr = {}

-- Gives a new object its id, then its fd. EMFILE burns the id, as in Linux: the counter is all it leaves.
function idr.publish(kind, mode, fields)
  local id = kernel.increment(kind)
  local fd = fd_table.get_unused_fd()
  call("HSET", kernel.key(kind, id), unpack(fields))
  call("ZADD", kernel.key("ids:" .. kind), id, id)
  fd_table.install(fd, file.open(kind, id, mode))
  return fd, id
end

function idr.check_living(kind, id)
  work_list.need_released()
  if not (call("ZSCORE", kernel.key("ids:" .. kind), id) and refcount.is_held(kind, id)) then
    kernel.fail("ENOENT", "no " .. kind .. " has id " .. id)
  end
end

-- What BPF_*_GET_FD_BY_ID would open, for a caller that needs no fd of it.
function idr.lookup(kind, id)
  cred.need_admin("opening a " .. kind .. " by id")
  idr.check_living(kind, id)
  return { kind = kind, id = id }
end

function idr.open(kind, id, mode)
  return fd_table.install(fd_table.get_unused_fd(), file.open(kind, id, mode)), kind, id
end

return idr
