-- Nodes of the bpffs tree. A directory's names are a sorted set, name -> inode number, so that one
-- structure finds a name, counts the names and lists them page by page.
-- Invariant: the inode of a pin holds one reference on its object until its last name goes.
local kernel = use("base/kernel")
local memo = use("base/memo")
local refcount = use("base/refcount")
local session = use("base/session")
local inode_count = use("fs/inode_count")
local call = redis.call
local band = bit.band

local inode = {}

-- The root exists before the first write to it: mode 01777, owned by root.
local ROOT = "directory 1023 0 0 2 "

local function key(ino)
  return kernel.key("inode", ino)
end

local function names(ino)
  return kernel.key("dir", ino)
end

-- "kind mode uid gid nlink object"; the object of a symlink is its target, which may have spaces in it.
local parse = memo(function(text)
  local kind, mode, uid, gid, nlink, object = text:match("^(%a+) (%d+) (%d+) (%d+) (%d+) (.*)$")
  return { __index = { kind = kind, mode = tonumber(mode), uid = tonumber(uid), gid = tonumber(gid),
    nlink = tonumber(nlink), object = object } }
end)

-- Whether the root's mode and owner are those that it began with.
function inode.is_root_untouched()
  return (call("GET", key(1)) or ROOT) == ROOT
end

-- A node is read once a call, so that every change of the call is made to the same table.
function inode.load(ino)
  ino = tonumber(ino)
  local nodes = current.nodes or {}
  current.nodes = nodes
  local node = nodes[ino]
  if node then return node end
  node = setmetatable({ ino = ino }, parse(call("GET", key(ino)) or (ino == 1 and ROOT)))
  nodes[ino] = node
  return node
end

-- Writes changed attributes through; with nlink 0 the inode is freed.
function inode.store(node)
  if node.nlink == 0 then
    call("DEL", key(node.ino))
    inode_count.note_freed()
    if node.kind == "map" or node.kind == "prog" then
      refcount.put(node.kind, node.object, "inode:" .. node.ino)
    end
    return
  end
  call("SET", key(node.ino), table.concat({ node.kind, node.mode, node.uid, node.gid, node.nlink,
    node.object or "" }, " "))
end

-- inode_init_owner(): a node in a setgid directory gets its group, a directory the bit as well.
function inode.create(dir, kind, mode, object)
  local c = session.cred()
  inode_count.start()
  local node = { ino = kernel.increment("inode") + 1, kind = kind, mode = mode, uid = c.uid, gid = c.gid,
    nlink = kind == "directory" and 2 or 1, object = object }
  if band(dir.mode, 1024) ~= 0 then
    node.gid = dir.gid
    if kind == "directory" then node.mode = mode + 1024 end
  end
  inode.store(node)
  if kind == "map" or kind == "prog" then refcount.get(kind, object, "inode:" .. node.ino) end
  return node
end

-- Names that one call looks up: a longer path would hold Redis too long.
local FINDS = 512

function inode.lookup(dir, name)
  local found = current.found or { count = 0 }
  current.found = found
  local at = dir.ino .. "/" .. name
  if found[at] == nil then
    found.count = found.count + 1
    if found.count > FINDS then
      kernel.fail("ENAMETOOLONG", "a path must lead to at most " .. FINDS .. " names, symlinks included")
    end
    found[at] = call("ZSCORE", names(dir.ino), name)
  end
  return found[at] and inode.load(found[at])
end

function inode.is_empty(dir)
  return call("EXISTS", names(dir.ino)) == 0
end

-- A subdirectory's ".." is a link to its parent.
local function relink(dir, node, by)
  if node.kind == "directory" then
    dir.nlink = dir.nlink + by
    inode.store(dir)
  end
end

function inode.add_name(dir, name, node)
  call("ZADD", names(dir.ino), node.ino, name)
  relink(dir, node, 1)
end

function inode.remove_name(dir, name, node)
  call("ZREM", names(dir.ino), name)
  relink(dir, node, -1)
end

-- drop_nlink(): the node loses a name. A directory has only one; another node goes with its last.
function inode.drop_nlink(node)
  node.nlink = node.kind == "directory" and 0 or node.nlink - 1
  inode.store(node)
end

-- memcmp(a, b) > 0; Lua's own comparison follows the server's locale.
local function sorts_after(a, b)
  for i = 1, #b do
    local x, y = a:byte(i) or -1, b:byte(i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- Names after (ino, name), in the order of their inodes, and of their bytes where they share one: name and
-- ino in turn, one entry more than `limit` when there are more.
function inode.readdir(dir, ino, name, limit)
  local set = names(dir.ino)
  local low, high = call("ZCOUNT", set, "-inf", "(" .. ino), call("ZCOUNT", set, "-inf", ino)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sorts_after(call("ZRANGE", set, middle, middle)[1], name) then
      high = middle
    else
      low = middle + 1
    end
  end
  return call("ZRANGE", set, low, low + limit, "WITHSCORES")
end

return inode
