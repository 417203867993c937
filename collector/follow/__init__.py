"""Following log files, through rotation and restarts, so that nothing is lost unsaid."""

from collector.follow.events import Gap, Lag, Lines, Patience, Ready, Watched
from collector.follow.follower import Follower
from collector.follow.position import Position, Progress

__all__ = ["Follower", "Gap", "Lag", "Lines", "Patience", "Position", "Progress", "Ready", "Watched"]
