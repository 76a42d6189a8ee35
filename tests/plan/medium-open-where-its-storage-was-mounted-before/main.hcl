host "nas" {
  address = "192.0.2.5"
}

media_share "iso" {
  host  = host.nas
  path  = "/srv/media"
  share = "media"
  user {
    name     = "larder"
    password = "swordfish-17"
  }
}

media_file "debian" {
  share  = media_share.iso
  source = "iso/debian.iso"
  size   = 5
  sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
}

host "hv1" {
  address = "192.0.2.6"
}

media_storage "m" {
  hosts       = [host.hv1]
  mount_point = "/mnt/new"
  server      = "nas.example.org"
  share       = "MEDIA"
  username    = "larder"
  password    = "swordfish-17"
}
