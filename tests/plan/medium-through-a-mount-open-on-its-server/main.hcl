host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

media_storage "iso" {
  hosts       = [host.hv1, host.hv2]
  server      = "10.0.0.5"
  share       = "images"
  username    = "vmstore"
  password    = "not-a-real-one"
  mount_point = "/srv/smb"
  writable    = true
}

media_file "debian" {
  storage = media_storage.iso
  source  = "iso/debian.iso"
  size    = 5
  sha256  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
}

host "nas" {
  address = "192.0.2.5"
}

media_share "m" {
  host     = host.nas
  path     = "/srv/media"
  share    = "Images"
  writable = true
  user {
    name     = "larder"
    password = "swordfish-17"
  }
}
