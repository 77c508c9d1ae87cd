-- Path walk (fs/namei.c): search permission on every directory, symlinks up to 40, and bpffs' own
-- rule that a name with a dot in it is looked up in vain (bpf_lookup: EPERM).
-- Invariant: a walk only reads; it starts at the namespace's root and never leaves it.
local kernel = use("base/kernel")
local cred = use("base/cred")
local inode = use("fs/inode")

local namei = {}

local PATH_MAX, NAME_MAX, MAX_LINKS = 4096, 255, 40
-- As many components as one path has; symlinks may not multiply them.
local STEPS = 4200

-- The node or nil. What exists is in the dcache; bpf_lookup() is asked for what does not.
function namei.lookup(dir, name)
  local node = inode.lookup(dir, name)
  if node then return node end
  if name:find(".", 1, true) and bit.band(dir.mode, 4095) ~= 0 then
    kernel.fail("EPERM", "bpffs keeps names with a dot for itself: " .. name)
  end
  if #name > NAME_MAX then kernel.fail("ENAMETOOLONG", "a name has at most 255 bytes") end
end

local function check(path)
  if path == "" then kernel.fail("ENOENT", "the path is empty") end
  if #path >= PATH_MAX then kernel.fail("ENAMETOOLONG", "a path has at most 4095 bytes") end
end

local function last_type(name)
  if name == "." then return "dot" end
  if name == ".." then return "dotdot" end
  return "norm"
end

-- A symlink's text takes the place of its name.
local function follow_link(node, links)
  if links > MAX_LINKS then kernel.fail("ELOOP", "more than 40 symlinks, or endless ones") end
  return node.object
end

-- Takes the components of a path one by one. Answers the directories walked through, and the last
-- component as walk found it: its name, type and whether slashes follow it, unresolved if `parent`.
local function walk(path, parent, follow)
  check(path)
  local stack, links, text, at = { inode.load(1) }, 0, path, 1
  for _ = 1, STEPS do
    local name, after = text:match("^/*([^/]+)()", at)
    local dir = stack[#stack]
    if not name then return { stack = stack, dir = dir, node = dir, type = "root" } end
    cred.check_access(dir, 1, "searching the directory above " .. name)
    local last = not text:find("[^/]", after)
    local slash = last and after <= #text
    local type = last_type(name)
    if last and parent then
      return { stack = stack, dir = dir, name = name, type = type, slash = slash }
    end
    local node = type == "norm" and namei.lookup(dir, name)
    if type == "norm" and not node then kernel.fail("ENOENT", "no " .. name .. " in " .. path) end
    if type == "dotdot" and #stack > 1 then stack[#stack] = nil end
    at = after
    if node and node.kind == "symlink" and (not last or follow or slash) then
      links = links + 1
      text, at = follow_link(node, links) .. text:sub(after):gsub("^//+", "/"), 1
      if #text > 2 * PATH_MAX then kernel.fail("ELOOP", "the symlinks make too long a path") end
      if text:sub(1, 1) == "/" then stack = { inode.load(1) } end
    else
      if node and node.kind ~= "directory" then
        if not last or slash then kernel.fail("ENOTDIR", name .. " is not a directory") end
        return { stack = stack, dir = dir, node = node, type = type }
      end
      if node then stack[#stack + 1] = node end
      if last then return { stack = stack, node = stack[#stack], type = type } end
    end
  end
  kernel.fail("ELOOP", "the symlinks of the path have too many components")
end

-- user_path_at(): the node at the end of the path.
function namei.user_path_at(path, follow)
  return walk(path, false, follow).node
end

-- filename_parentat(): the directory and the last component, which is not looked up.
function namei.filename_parentat(path)
  return walk(path, true, false)
end

-- filename_create(): where a new name may go. EEXIST before any permission to write.
function namei.filename_create(path, want_directory)
  local at = namei.filename_parentat(path)
  if at.type ~= "norm" then kernel.fail("EEXIST", path .. " is there") end
  if namei.lookup(at.dir, at.name) then kernel.fail("EEXIST", path .. " is there") end
  if at.slash and not want_directory then kernel.fail("ENOENT", path .. " ends in a slash") end
  return at
end

-- may_create()
function namei.may_create(dir)
  cred.check_access(dir, 3, "adding a name to the directory")
end

-- may_delete(): a name may leave its directory; `directory` says what the caller takes it for.
function namei.may_delete(dir, node, directory)
  cred.check_access(dir, 3, "removing a name from the directory")
  if cred.check_sticky(dir, node) then
    kernel.fail("EPERM", "in a sticky directory only its owner and the entry's owner remove it")
  end
  if directory and node.kind ~= "directory" then kernel.fail("ENOTDIR", "not a directory") end
  if not directory and node.kind == "directory" then
    kernel.fail("EISDIR", "is a directory; use rmdir")
  end
end

return namei
