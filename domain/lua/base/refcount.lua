-- References on maps and programs: who holds what, and what the last put sets off.
-- Invariants: refcnt is the sum over holders; usercnt, on maps, is the part held by open files and
-- inodes (c9da161c65: only these keep a program array filled); an object whose refcnt is 0 has no id.
local kernel = use("kernel")
local work = use("work")
local call = redis.call

local refcount = {}

-- holder: "file:N", "inode:N", "prog:N" (its instructions or BIND_MAP), "slot:MAP" (of that map).
local function is_user(kind, holder)
  return kind == "map" and (holder:sub(1, 5) == "file:" or holder:sub(1, 6) == "inode:")
end

function refcount.get(kind, id, holder)
  local object = kernel.key(kind, id)
  call("HINCRBY", object, "refcnt", 1)
  if is_user(kind, holder) then call("HINCRBY", object, "usercnt", 1) end
  call("HINCRBY", kernel.key("holders:" .. kind, id), holder, 1)
end

function refcount.put(kind, id, holder)
  local object, holders = kernel.key(kind, id), kernel.key("holders:" .. kind, id)
  local held = call("HINCRBY", holders, holder, -1)
  if held < 0 then kernel.bug(holder .. " put " .. kind .. " " .. id .. " without holding it") end
  if held == 0 then call("HDEL", holders, holder) end
  if is_user(kind, holder) and call("HINCRBY", object, "usercnt", -1) == 0 then
    use("map").release_users(id)
  end
  if call("HINCRBY", object, "refcnt", -1) == 0 then
    call("ZREM", kernel.key("ids:" .. kind), id)
    work.push("refcount", "free", kind, id)
  end
end

-- bpf_map_free, bpf_prog_free: what the dead object held goes to the work list, never by recursion.
function refcount.free(kind, id)
  use(kind).free(id)
  return 1
end

return refcount
