-- References on maps and programs: who holds what, and what the last put sets off.
-- Invariants: refcnt is the sum over holders; usercnt, on maps, is the part held by open files and
-- inodes (c9da161c65: only these keep a program array filled); an object whose refcnt is 0 has no id.
local kernel = use("base/kernel")
local work = use("base/work")
local call = redis.call

local refcount = {}

-- Kind -> its operations, as the kernel's objects have them: info(id, listed) and free(id); identify(id)
-- answers type and name, type_of(text) the name of a type by name or number, or nil. Maps also have
-- release_uref(id), called when usercnt falls to 0; programs also have owner(id).
refcount.kinds = {}

-- An open file and an inode hold one reference each, and on a map they are its users. holder: "file:N",
-- "inode:N", "prog:N" (its instructions or BIND_MAP), "slot:MAP" (of that map, one for each slot).
local function is_file(holder)
  local noun = holder:byte()
  return noun == 102 or noun == 105
end

function refcount.get(kind, id, holder)
  local object, holders = kernel.key(kind, id), kernel.key("holders:" .. kind, id)
  call("HINCRBY", object, "refcnt", 1)
  if not is_file(holder) then
    call("HINCRBY", holders, holder, 1)
    return
  end
  if kind == "map" then call("HINCRBY", object, "usercnt", 1) end
  call("HSET", holders, holder, 1)
end

local function drop_holder(holders, holder)
  if is_file(holder) then return call("HDEL", holders, holder) == 1 end
  local held = call("HINCRBY", holders, holder, -1)
  if held == 0 then call("HDEL", holders, holder) end
  return held >= 0
end

function refcount.put(kind, id, holder)
  local object = kernel.key(kind, id)
  if not drop_holder(kernel.key("holders:" .. kind, id), holder) then
    kernel.bug(holder .. " put " .. kind .. " " .. id .. " without holding it")
  end
  if kind == "map" and is_file(holder) and call("HINCRBY", object, "usercnt", -1) == 0 then
    refcount.kinds.map.release_uref(id)
  end
  if call("HINCRBY", object, "refcnt", -1) == 0 then
    call("ZREM", kernel.key("ids:" .. kind), id)
    work.push("free", kind, id)
  end
end

-- bpf_map_free, bpf_prog_free: what the dead object held goes to the work list, never by recursion.
work.handle("free", function(kind, id)
  refcount.kinds[kind].free(id)
  return 1
end)

return refcount
