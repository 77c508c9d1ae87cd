-- References on maps, programs and BTF objects: who holds what, and what the last put sets off.
-- Invariants: refcnt is the sum over holders plus the floor of the kind; usercnt, on maps, is the part held
-- by open files and inodes (c9da161c65: only these keep a program array filled); an object whose refcnt has
-- fallen to its floor has no id (except BTF objects that an older version put, until btf.reap()).
local kernel = use("base/kernel")
local work = use("base/work")
local call = redis.call

-- Units of the work list.
local FREE = 4

local refcount = {}

-- Kind -> its operations, as the kernel's objects have them: info(id, listed), and free(id), which may
-- answer units of the work list; parts(id, room) answers the bytes of the object's parts that there is room
-- for; identify(id) answers type and name, type_of(text) the name of a type by name or number, or nil. Maps
-- also have release_uref(id), called when usercnt falls to 0; programs also have owner(id). floor: references
-- that a living object has beside those of its holders, 0 by default.
refcount.kinds = {}

-- Whether somebody holds the object. A version that does not know a kind with a floor puts references on it,
-- but never frees it.
function refcount.is_held(kind, id)
  local floor = refcount.kinds[kind].floor
  return not floor or tonumber(call("HGET", kernel.key(kind, id), "refcnt") or 0) > floor
end

-- An open file and an inode hold one reference each, and on a map they are its users. holder: "file:N",
-- "inode:N", "prog:N" (its instructions or BIND_MAP, or its BTF), "map:N" (its BTF), "slot:MAP" (of that map,
-- one for each slot).
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

local function drop_holder(holders, holder, count)
  if is_file(holder) then return call("HDEL", holders, holder) == 1 end
  local held = call("HINCRBY", holders, holder, -count)
  if held == 0 then call("HDEL", holders, holder) end
  return held >= 0
end

-- Takes references off an object, of users or not; true when none is left.
local function drop(kind, id, count, are_users)
  local object = kernel.key(kind, id)
  if are_users and kind == "map" and call("HINCRBY", object, "usercnt", -count) == 0 then
    refcount.kinds.map.release_uref(id)
  end
  return call("HINCRBY", object, "refcnt", -count) == (refcount.kinds[kind].floor or 0)
end

-- The objects are gone at once; what they held goes to the work list, never by recursion.
local function bury(kind, ids)
  if not ids[1] then return end
  call("ZREM", kernel.key("ids:" .. kind), unpack(ids))
  for _, id in ipairs(ids) do work.push("free", kind, id) end
end

local function check_held(is_held, kind, id, holder)
  if not is_held then kernel.bug(holder .. " put " .. kind .. " " .. id .. " without holding it") end
end

-- count: of the references that a program or a slot puts, 1 by default.
function refcount.put(kind, id, holder, count)
  count = count or 1
  check_held(drop_holder(kernel.key("holders:" .. kind, id), holder, count), kind, id, holder)
  if drop(kind, id, count, is_file(holder)) then bury(kind, { id }) end
end

-- The same for many open files at once, each object once. puts: { kind, id, holders }.
function refcount.put_files(puts)
  local dead = {}
  for _, put in ipairs(puts) do
    local kind, id, holders = put.kind, put.id, put.holders
    local held = call("HDEL", kernel.key("holders:" .. kind, id), unpack(holders))
    check_held(held == #holders, kind, id, holders[1])
    if drop(kind, id, #holders, true) then
      dead[kind] = dead[kind] or {}
      table.insert(dead[kind], id)
    end
  end
  for kind, ids in pairs(dead) do bury(kind, ids) end
end

-- Frees an object that only its floor keeps.
function refcount.bury(kind, id)
  bury(kind, { id })
end

-- bpf_map_free, bpf_prog_free, btf_free
work.handle("free", function(kind, id)
  return FREE + (refcount.kinds[kind].free(id) or 0)
end)

return refcount
