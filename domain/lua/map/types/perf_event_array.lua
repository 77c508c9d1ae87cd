-- BPF_MAP_TYPE_PERF_EVENT_ARRAY (kernel/bpf/arraymap.c): as there are no perf events, its slots stay empty.
local kernel = use("base/kernel")
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local uapi = use("uapi")

local function alloc_check(attr)
  fd_array.alloc_check(attr, uapi.BPF_F_PRESERVE_ELEMS)
end

local function nothing() end

local function unseen()
  kernel.fail("ENOTSUPP", "slots of a perf_event_array cannot be read")
end

-- perf_event_get(): EBADF whatever else the fd is.
local function fd_get_ptr(_, fd)
  kernel.fail("EBADF", "fd " .. fd .. " is not a perf event: there are none")
end

map.register("perf_event_array", {
  alloc_check = alloc_check, alloc = nothing, lookup = unseen, update = fd_array.update,
  delete = fd_array.delete, next_key = arraymap.next_key, page = unseen, entries = fd_array.entries,
  free = nothing, fd_get_ptr = fd_get_ptr,
  check_btf = map_btf.unsupported
})
