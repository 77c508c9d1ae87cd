-- BPF_MAP_TYPE_PERF_EVENT_ARRAY (kernel/bpf/arraymap.c): as there are no perf events, its slots stay empty.
local kernel = use("kernel")
local index = use("index")
local fd_array = use("fd_array")

local PRESERVE_ELEMS = 2048

local function alloc_check(attr)
  fd_array.alloc_check(attr, PRESERVE_ELEMS)
end

local function nothing() end

local function unseen()
  kernel.fail("ENOTSUPP", "a perf_event_array's slots cannot be read")
end

-- perf_event_get(): EBADF whatever else the fd is.
local function resolve(_, fd)
  kernel.fail("EBADF", "fd " .. fd .. " is no perf event")
end

return { alloc_check = alloc_check, alloc = nothing, lookup = unseen, update = fd_array.update,
  delete = fd_array.delete, next_key = index.next_key, page = unseen, entries = fd_array.entries,
  free = nothing, resolve = resolve }
