from .doctor import versions as versions
from .files import make_folder as make_folder
from .files import replacing as replacing
from .progress import progress_lines as progress_lines
from .ranks import communicator as communicator
from .ranks import from_first_rank as from_first_rank
from .ranks import on_first_rank as on_first_rank
