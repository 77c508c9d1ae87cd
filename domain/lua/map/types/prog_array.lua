-- BPF_MAP_TYPE_PROG_ARRAY (kernel/bpf/arraymap.c): slots that tail calls go through.
-- Invariant: with the last user reference every slot is emptied (c9da161c65), which is what lets
-- cycles of programs and arrays be freed.
local map = use("map/map")
local arraymap = use("map/arraymap")
local fd_array = use("map/fd_array")
local fd_table = use("file/fd_table")
local refcount = use("base/refcount")

local function alloc() end

local function adopt(m, owner)
  if not fd_array.adopts(m, owner) then
    map.invalid("prog_array " .. m.id .. " is of programs of another type")
  end
end

local function resolve(m, fd)
  local f = fd_table.fget_kind(fd, "prog")
  adopt(m, refcount.kinds.prog.owner(f.id))
  return f.id
end

local function free(id)
  fd_array.clear("prog", id)
end

-- prog_array_map_clear()
local function release_users(m)
  map.changed(m)
  free(m.id)
end

map.register("prog_array", {
  alloc_check = fd_array.alloc_check, alloc = alloc, lookup = fd_array.lookup, many = fd_array.many,
  update = fd_array.update, delete = fd_array.delete, next_key = arraymap.next_key,
  page = fd_array.page, entries = fd_array.entries, release_users = release_users, free = free,
  adopt = adopt, resolve = resolve, holds = "prog", never_inner = true
})
